// Writes the Parquet files of this folder with two writers that have nothing in common with the reader: DuckDB (C++) and hyparquet-writer
// (JavaScript). rows.jsonl has the same rows, from the objects that they were made of.
//
//   npm install @duckdb/node-api@1.5.6-r.1 hyparquet-writer@0.17.0 && node make.mjs
import { writeFileSync } from 'node:fs'
import { DuckDBInstance } from '@duckdb/node-api'
import { parquetWriteFile } from 'hyparquet-writer'

const words = ['sea', 'lighthouse', 'größer', '灯台', '🙂', 'a "quoted" word', 'back\\slash', 'two\nlines', '', 'tab\t']
const word = i => words[i % words.length]
const rows = Array.from({ length: 260 }, (_, i) => ({
  id: `q${i}`,
  prompt: `What is ${word(Math.floor(i / 4))}?`,
  response: i % 7 === 3 ? null : `It is number ${i}: ${word(i)}.`,
  responses: i % 5 === 0 ? null : i % 5 === 1 ? [] : Array.from({ length: i % 5 }, (_, k) => (i + k) % 11 === 0 ? null : `${word(i + k)} ${k}`),
  messages: i % 6 === 2 ? null : Array.from({ length: i % 4 }, (_, k) => ({ role: k % 2 ? 'assistant' : 'user', content: (i + k) % 13 === 0 ? null : `${word(i * 3 + k)}!` })),
  input_ids: i % 3 === 0 ? [] : Array.from({ length: i % 9 }, (_, k) => i * 100 + k),
  nested: i % 4 === 0 ? null : [[`n${i}`], [], null, [null, word(i)]].slice(0, i % 5),
  subset: ['alpacaeval-easy', 'math-prm', 'hep-cpp'][i % 3],
  margin: i % 10 === 9 ? null : i / 8 - 3,
  number: i % 10 === 4 ? null : i * 12345678901 - 77,
  flag: i % 8 === 5 ? null : i % 3 === 0,
}))
writeFileSync('rows.jsonl', rows.map(row => JSON.stringify(row)).join('\n') + '\n')

const duckdb = await (await DuckDBInstance.create()).connect()
await duckdb.run(`CREATE TABLE t AS SELECT * FROM read_json('rows.jsonl', format = 'newline_delimited', columns = {
  id: 'VARCHAR', prompt: 'VARCHAR', response: 'VARCHAR', responses: 'VARCHAR[]', messages: 'STRUCT(role VARCHAR, content VARCHAR)[]',
  input_ids: 'INTEGER[]', nested: 'VARCHAR[][]', subset: 'VARCHAR', margin: 'DOUBLE', number: 'BIGINT', flag: 'BOOLEAN' })`)
for (const codec of ['uncompressed', 'snappy', 'gzip', 'zstd', 'brotli'])
  await duckdb.run(`COPY t TO 'duckdb-${codec}.parquet' (FORMAT parquet, COMPRESSION ${codec})`)
await duckdb.run(`COPY t TO 'duckdb-v2.parquet' (FORMAT parquet, COMPRESSION snappy, PARQUET_VERSION v2)`)
await duckdb.run(`COPY t TO 'duckdb-lz4.parquet' (FORMAT parquet, COMPRESSION lz4_raw)`)
// Columns of logical type JSON: rows.jsonl has the values that their texts hold.
await duckdb.run(`COPY (SELECT id, to_json(messages) AS messages, to_json(prompt) AS prompt, to_json(input_ids) AS input_ids, to_json(margin) AS margin
  FROM t) TO 'duckdb-json.parquet' (FORMAT parquet)`)

const flat = (name, type, encoding) => ({ name, type, encoding, data: rows.map(row => name === 'number' && row[name] !== null ? BigInt(row[name]) : row[name]) })
parquetWriteFile({
  filename: 'hyparquet.parquet',
  rowGroupSize: [50, 100],
  pageSize: 700,
  columnData: [
    flat('id', 'STRING', 'DELTA_BYTE_ARRAY'), flat('prompt', 'STRING'), flat('response', 'STRING', 'DELTA_LENGTH_BYTE_ARRAY'), flat('subset', 'STRING'),
    flat('margin', 'DOUBLE'), flat('number', 'INT64', 'DELTA_BINARY_PACKED'), flat('flag', 'BOOLEAN', 'RLE'),
  ],
})
