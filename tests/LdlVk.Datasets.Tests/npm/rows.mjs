// Prints the columns of a Parquet file with their types, then its rows, as DuckDB reads them: JSON lines.
//   node rows.mjs FOLDER-OF-NODE-MODULES FILE
import { createRequire } from 'node:module'
import { join } from 'node:path'

const [folder, file] = process.argv.slice(2)
const { DuckDBInstance } = createRequire(join(folder, 'package.json'))('@duckdb/node-api')
const duckdb = await (await DuckDBInstance.create()).connect()
const all = async query => (await duckdb.runAndReadAll(query)).getRowObjectsJson()
const source = `'${file.replaceAll("'", "''")}'`
console.log(JSON.stringify((await all(`DESCRIBE SELECT * FROM ${source}`)).map(column => `${column.column_name} ${column.column_type}`)))
for (const row of await all(`SELECT * FROM ${source}`)) console.log(JSON.stringify(row))
