BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0002');
CREATE TABLE datasets (
	id TEXT NOT NULL, 
	owner TEXT NOT NULL, 
	name TEXT NOT NULL, 
	type TEXT NOT NULL, 
	img_type TEXT, 
	creator TEXT NOT NULL, 
	parent_id TEXT, 
	every_file BOOLEAN NOT NULL, 
	watermark BIGINT DEFAULT '0' NOT NULL, 
	created_at BIGINT NOT NULL, 
	modified_at BIGINT NOT NULL, n_samples BIGINT DEFAULT '0' NOT NULL, size_in_bytes BIGINT DEFAULT '0' NOT NULL, counted_until BIGINT, 
	CONSTRAINT pk_datasets PRIMARY KEY (id), 
	CONSTRAINT fk_datasets_owner FOREIGN KEY(owner) REFERENCES users (name), 
	CONSTRAINT uq_datasets_owner_name UNIQUE (owner, name)
);
INSERT INTO "datasets" VALUES('6b0d18f3bdff8f9f85fa0d58','ann','on S3','Images','full','USER_PIP',NULL,1,1577836800,1796020467417,1796020467486,5,500,1577836800);
INSERT INTO "datasets" VALUES('6b0d18f39fe38ab88c48a113','ann','on S3 by a role','Videos',NULL,'UNKNOWN','6b0d18f3bdff8f9f85fa0d58',0,1577836801,1796020467522,1796020467531,0,0,NULL);
INSERT INTO "datasets" VALUES('6b0d18f35a13d773360ea141','ann','on Cloud Storage with a local folder','Images',NULL,'UNKNOWN',NULL,0,1577836802,1796020467545,1796020467559,7,500,1577836800);
INSERT INTO "datasets" VALUES('6b0d18f3aa1888be1451fc39','bob','on Azure','Images',NULL,'UNKNOWN',NULL,0,1577836803,1796020467589,1796020467602,0,0,NULL);
INSERT INTO "datasets" VALUES('6b0d18f303076c248040c2d1','bob','on OBS with managed storage','Images',NULL,'UNKNOWN',NULL,0,1577836804,1796020467618,1796020467637,0,0,NULL);
INSERT INTO "datasets" VALUES('6b0d18f3f96cc5791cab669d','bob','without a datasource','Crops',NULL,'UNKNOWN',NULL,0,0,1796020467654,1796020467654,0,0,NULL);
INSERT INTO "datasets" VALUES('6b0d18f33843f739e7a72aa5','https://issuer.example.com|user','in a local folder','Images',NULL,'UNKNOWN',NULL,0,1577836806,1796020467679,1796020467685,0,0,NULL);
CREATE TABLE datasources (
	id TEXT NOT NULL, 
	dataset_id TEXT NOT NULL, 
	purpose TEXT NOT NULL, 
	config TEXT NOT NULL, 
	secret TEXT, 
	CONSTRAINT pk_datasources PRIMARY KEY (id), 
	CONSTRAINT fk_datasources_dataset_id FOREIGN KEY(dataset_id) REFERENCES datasets (id) ON DELETE CASCADE, 
	CONSTRAINT uq_datasources_dataset_id_purpose UNIQUE (dataset_id, purpose)
);
INSERT INTO "datasources" VALUES('6b0d18f3bfbf4f5de5110a50','6b0d18f3bdff8f9f85fa0d58','INPUT_OUTPUT','{"type":"S3","fullPath":"s3://images/2024","thumbSuffix":"thumbs/[filename].[extension]","s3Region":"eu-central-1","s3AccessKeyId":"test-key-id","s3ServerSideEncryptionKMSKey":"arn:aws:kms:eu-central-1:123456789012:key/test"}','test:FRxwhTjFSonRamb1tkLDmIc9Kg7wFP5uuCk6ril2L6e8V2vjOK4Rji+alV6J');
INSERT INTO "datasources" VALUES('6b0d18f3ea5247aa397ca719','6b0d18f39fe38ab88c48a113','INPUT_OUTPUT','{"type":"S3DelegatedAccess","fullPath":"videos/a path/","s3Region":"us-east-1","s3ExternalId":"test-external-id","s3ARN":"arn:aws:iam::123456789012:role/reader"}',NULL);
INSERT INTO "datasources" VALUES('6b0d18f3258f72c54201346f','6b0d18f35a13d773360ea141','LIGHTLY','{"type":"LOCAL","fullPath":"results/\u00fcn\u00ef","webServerLocation":"https://files.example.com/a"}',NULL);
INSERT INTO "datasources" VALUES('6b0d18f39871ace959850d58','6b0d18f35a13d773360ea141','INPUT','{"type":"GCS","fullPath":"gs://images/","gcsProjectId":"test-project"}','test:YfEMf7OF/Ammh8K/WB3Xkc7KMcLaEN2b1m4eY6frr5IuKgX5yKZ7tvPj6PQ=');
INSERT INTO "datasources" VALUES('6b0d18f3601ad3341c7b7e20','6b0d18f3aa1888be1451fc39','INPUT_OUTPUT','{"type":"AZURE","fullPath":"container","accountName":"testaccount"}','test:CZNUaT7Zn2cK4Xw+30M9YO5lWpKWkzbab/1gsEEpYSLET3VfHgOgWMeDApHXUHAI');
INSERT INTO "datasources" VALUES('6b0d18f3af2838691ce53666','6b0d18f303076c248040c2d1','LIGHTLY','{"type":"LIGHTLY","fullPath":""}',NULL);
INSERT INTO "datasources" VALUES('6b0d18f3e50697af8033b67d','6b0d18f303076c248040c2d1','INPUT','{"type":"OBS","fullPath":"obs://images/x","obsEndpoint":"https://obs.example.com","obsAccessKeyId":"test-key-id"}','test:YhNTUcZ0IfqwyVcyY3Ysls5P61meFNnt5SKMLAJopEUQ9RR4h2pfzr0C7UtgQw==');
INSERT INTO "datasources" VALUES('6b0d18f3fb90c49709f3d25c','6b0d18f33843f739e7a72aa5','INPUT_OUTPUT','{"type":"LOCAL","fullPath":""}',NULL);
CREATE TABLE tokens (
	id TEXT NOT NULL, 
	user TEXT NOT NULL, 
	admin BOOLEAN NOT NULL, 
	digest BLOB NOT NULL, 
	created_at BIGINT NOT NULL, 
	revoked_at BIGINT, 
	CONSTRAINT pk_tokens PRIMARY KEY (id), 
	CONSTRAINT fk_tokens_user FOREIGN KEY(user) REFERENCES users (name), 
	CONSTRAINT uq_tokens_digest UNIQUE (digest)
);
INSERT INTO "tokens" VALUES('6b0d18f30833074656aa28b2','ann',0,X'578CB5F6C3875B55A2D0C6737546F2B0F845CAAB202F63F1E92BE7AF960E031F',1796020467332,NULL);
INSERT INTO "tokens" VALUES('6b0d18f352bdfc1b77119bbe','bob',1,X'3DEABE6CCBC4AD42806C35FCFA3ACB90B499526C930135C73124D04D9A18710B',1796020467344,NULL);
INSERT INTO "tokens" VALUES('6b0d18f35a84a7831c288e0b','ann',0,X'1EBB40A0CAE18115DFA217C0237A39B9ABE86C91D6FD9C14F3B8EEC582A79F44',1796020467356,1796020467407);
CREATE TABLE users (
	name TEXT NOT NULL, 
	created_at BIGINT NOT NULL, 
	CONSTRAINT pk_users PRIMARY KEY (name)
);
INSERT INTO "users" VALUES('ann',1796020467333);
INSERT INTO "users" VALUES('bob',1796020467344);
INSERT INTO "users" VALUES('https://issuer.example.com|user',1796020467680);
CREATE INDEX ix_datasets_parent_id ON datasets (parent_id);
COMMIT;
