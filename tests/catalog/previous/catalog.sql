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
INSERT INTO "datasets" VALUES('6b0d14ee9589d82b44beb966','ann','on S3','Images','full','USER_PIP',NULL,1,1577836800,1796019438386,1796019438393,5,500,1577836800);
INSERT INTO "datasets" VALUES('6b0d14ee0c12379d60ed8653','ann','on S3 by a role','Videos',NULL,'UNKNOWN','6b0d14ee9589d82b44beb966',0,1577836801,1796019438403,1796019438405,0,0,NULL);
INSERT INTO "datasets" VALUES('6b0d14eea9471226eace7b14','ann','on Cloud Storage with a local folder','Images',NULL,'UNKNOWN',NULL,0,1577836802,1796019438409,1796019438414,7,500,1577836800);
INSERT INTO "datasets" VALUES('6b0d14ee44189b720f95f494','bob','on Azure','Images',NULL,'UNKNOWN',NULL,0,1577836803,1796019438419,1796019438421,0,0,NULL);
INSERT INTO "datasets" VALUES('6b0d14ee36c6b92c42abdd7f','bob','on OBS with managed storage','Images',NULL,'UNKNOWN',NULL,0,1577836804,1796019438424,1796019438429,0,0,NULL);
INSERT INTO "datasets" VALUES('6b0d14ee109ff39abdb55d46','bob','without a datasource','Crops',NULL,'UNKNOWN',NULL,0,0,1796019438432,1796019438432,0,0,NULL);
INSERT INTO "datasets" VALUES('6b0d14ee10b326f37845915b','https://issuer.example.com|user','in a local folder','Images',NULL,'UNKNOWN',NULL,0,1577836806,1796019438434,1796019438436,0,0,NULL);
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
INSERT INTO "datasources" VALUES('6b0d14ee62621bc253fe675d','6b0d14ee9589d82b44beb966','INPUT_OUTPUT','{"type":"S3","fullPath":"s3://images/2024","thumbSuffix":"thumbs/[filename].[extension]","s3Region":"eu-central-1","s3AccessKeyId":"test-key-id","s3ServerSideEncryptionKMSKey":"arn:aws:kms:eu-central-1:123456789012:key/test"}','test:9SLiBMX3PsI1if+Xl8dHGuO2uoTgGekNOnekCtzDttpegSxSKQVP/MDUGnIN');
INSERT INTO "datasources" VALUES('6b0d14ee8c50cd94c3a028ef','6b0d14ee0c12379d60ed8653','INPUT_OUTPUT','{"type":"S3DelegatedAccess","fullPath":"videos/a path/","s3Region":"us-east-1","s3ExternalId":"test-external-id","s3ARN":"arn:aws:iam::123456789012:role/reader"}',NULL);
INSERT INTO "datasources" VALUES('6b0d14eeb1532082a958ca06','6b0d14eea9471226eace7b14','LIGHTLY','{"type":"LOCAL","fullPath":"results/\u00fcn\u00ef","webServerLocation":"https://files.example.com/a"}',NULL);
INSERT INTO "datasources" VALUES('6b0d14ee01c4e163892c4b48','6b0d14eea9471226eace7b14','INPUT','{"type":"GCS","fullPath":"gs://images/","gcsProjectId":"test-project"}','test:jGKhFU1MHRfcWtVwKIudXSsK9taHrQ/0shAfZ8fVg2ufoaILFoFcqaahP2g=');
INSERT INTO "datasources" VALUES('6b0d14ee9c82e56e0f218a93','6b0d14ee44189b720f95f494','INPUT_OUTPUT','{"type":"AZURE","fullPath":"container","accountName":"testaccount"}','test:S/zVDLmTQKdc7B5OUJS3MN7c5BvWhUlwMJCQg1CDM+g1lJZKI3+RgfDQYg2JQoOQ');
INSERT INTO "datasources" VALUES('6b0d14ee33c8b6d78648e2a0','6b0d14ee36c6b92c42abdd7f','LIGHTLY','{"type":"LIGHTLY","fullPath":""}',NULL);
INSERT INTO "datasources" VALUES('6b0d14ee81a175a7156b4276','6b0d14ee36c6b92c42abdd7f','INPUT','{"type":"OBS","fullPath":"obs://images/x","obsEndpoint":"https://obs.example.com","obsAccessKeyId":"test-key-id"}','test:Pj5MOZgMfPQa9DmVIuMBKIq3lkvKIehxrQuHadKaprSzF5AX8Soc8j3/qLP9Qg==');
INSERT INTO "datasources" VALUES('6b0d14ee0ebdc278581e0331','6b0d14ee10b326f37845915b','INPUT_OUTPUT','{"type":"LOCAL","fullPath":""}',NULL);
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
INSERT INTO "tokens" VALUES('6b0d14ee4562fdae543eafd8','ann',0,X'578CB5F6C3875B55A2D0C6737546F2B0F845CAAB202F63F1E92BE7AF960E031F',1796019438376,NULL);
INSERT INTO "tokens" VALUES('6b0d14eead4ed629ccbf31e7','bob',1,X'3DEABE6CCBC4AD42806C35FCFA3ACB90B499526C930135C73124D04D9A18710B',1796019438379,NULL);
INSERT INTO "tokens" VALUES('6b0d14ee12e40be097dc10b2','ann',0,X'1EBB40A0CAE18115DFA217C0237A39B9ABE86C91D6FD9C14F3B8EEC582A79F44',1796019438382,1796019438383);
CREATE TABLE users (
	name TEXT NOT NULL, 
	created_at BIGINT NOT NULL, 
	CONSTRAINT pk_users PRIMARY KEY (name)
);
INSERT INTO "users" VALUES('ann',1796019438376);
INSERT INTO "users" VALUES('bob',1796019438380);
INSERT INTO "users" VALUES('https://issuer.example.com|user',1796019438435);
CREATE INDEX ix_datasets_parent_id ON datasets (parent_id);
COMMIT;
