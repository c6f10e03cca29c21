// Make the six operations with a TypeScript client of the newest generator. Prints what it found, as JSON.
import { Configuration, DatasourcesApi, type DatasourceConfig } from "./client";

declare const process: { argv: string[] };

async function main(): Promise<void> {
  const [url, token, datasetId] = process.argv.slice(2) as [string, string, string];
  const api = new DatasourcesApi(new Configuration({ basePath: url, apiKey: token }));
  const wanted: DatasourceConfig = { type: "LOCAL", fullPath: "camera" };
  await api.updateDatasourceByDatasetId({ datasetId, datasourceConfig: wanted });
  const config: DatasourceConfig = await api.getDatasourceByDatasetId({ datasetId });
  const verified = await api.verifyDatasourceByDatasetId({ datasetId });
  const names: string[] = [];
  let page = await api.getListOfRawSamplesFromDatasourceByDatasetId({ datasetId, to: 2_000_000_000 });
  for (;;) {
    names.push(...page.data.map((row) => row.fileName));
    if (!page.hasMore) break;
    page = await api.getListOfRawSamplesFromDatasourceByDatasetId({ datasetId, cursor: page.cursor });
  }
  await api.updateDatasourceProcessedUntilTimestampByDatasetId({
    datasetId,
    datasourceProcessedUntilTimestampRequest: { processedUntilTimestamp: 1_700_000_000 },
  });
  const watermark = await api.getDatasourceProcessedUntilTimestampByDatasetId({ datasetId });
  console.log(
    JSON.stringify({
      type: config.type,
      path: config.fullPath,
      verified: [verified.canRead, verified.canWrite, verified.canList, verified.canOverwrite],
      names,
      watermark: watermark.processedUntilTimestamp,
    }),
  );
}

void main();
