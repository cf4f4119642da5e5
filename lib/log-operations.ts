// The log of an environment, decoded: what its transactions have done.
import { keyCodecs, valueCodecs } from './encodings.js'
import type { Catalogue, Table } from './catalogue.js'
import type { LogIterator } from './log-reader.js'
import type { LogEntry } from './log-entry.js'
import { eachOperation, type OperationBytes } from './operation-bytes.js'

const prefixBytes = 4
const catalogueId = 0

/** What a transaction has done to one row. */
export interface LoggedOperation {
  kind: 'put' | 'remove'
  /**
   * Its database, where there is one of this id now; otherwise undefined: then key and value are
   * bytes. '' is the catalogue of databases, whose rows are bytes too.
   */
  database: string | undefined
  databaseId: number
  key: unknown
  /** Of a put. */
  value?: unknown
}

/** A transaction of the log. */
export interface LoggedTransaction extends Omit<LogEntry, 'payload' | 'operations'> {
  operations: LoggedOperation[]
}

const decode = (catalogue: Catalogue, bytes: Buffer, found: OperationBytes): LoggedOperation => {
  const { removes, keyAt, valueAt, end } = found
  const databaseId = bytes.readUInt32BE(keyAt)
  const table = databaseId === catalogueId ? undefined : catalogue.tableOf(databaseId)
  const { keys, values }: Pick<Table, 'keys' | 'values'> = table ?? {
    keys: keyCodecs.binary,
    values: valueCodecs.binary,
  }
  const operation: LoggedOperation = {
    kind: removes ? 'remove' : 'put',
    database: databaseId === catalogueId ? '' : table?.name,
    databaseId,
    key: keys.read(bytes, keyAt + prefixBytes, valueAt),
  }
  if (!removes) operation.value = values.read(bytes, valueAt, end)
  return operation
}

export const readOperations = async function* (
  entries: LogIterator,
  catalogue: Catalogue,
): AsyncGenerator<LoggedTransaction, void> {
  for await (const entry of entries) {
    const { payload, lsn, end, term, type, commitTimeUs } = entry
    const bytes = Buffer.from(payload.buffer, payload.byteOffset, payload.length)
    const decoded = type === 'transaction' || type === 'catalogue'
    const found = decoded ? Array.from(eachOperation(bytes, 0, bytes.length)) : []
    const operations = found.map((one) => decode(catalogue, bytes, one))
    yield { lsn, end, term, type, commitTimeUs, operations }
  }
}
