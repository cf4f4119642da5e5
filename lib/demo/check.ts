// Reads the log and compares it with what the writers had acknowledged.
import { Log } from '../index.js'
import { encodeCity, type City } from './cities.js'
import type { Writer } from './writer.js'

export interface Findings {
  /** Transactions in the log. */
  entries: number
  /** Their payloads. */
  bytes: number
  /** Acknowledged, and in the log as they should be. */
  found: number
  /** Acknowledged, and not in the log: never. */
  lost: number
  /** In the log without an acknowledgement that arrived: their writer was killed. */
  unacknowledged: number
  /** Not what any writer appended, or there twice: never. */
  wrong: number
}

/** Opens the log, reads all of it and closes it again. */
export const checkLog = async (
  directory: string,
  cities: City[],
  writers: Writer[],
): Promise<Findings> => {
  const expected = new Set<string>()
  for (const { acknowledged } of writers) {
    for (const [before, indices] of acknowledged.entries()) {
      for (const index of indices) expected.add(encodeCity(cities, index, before + 1))
    }
  }
  const findings = { entries: 0, bytes: 0, found: 0, lost: 0, unacknowledged: 0, wrong: 0 }
  const others = new Set<string>()
  const log = await Log.open(directory, { create: false })
  for await (const { payload } of log.read()) {
    const text = Buffer.from(payload).toString()
    findings.entries += 1
    findings.bytes += payload.length
    if (expected.delete(text)) findings.found += 1
    else if (isOurs(text, cities) && !others.has(text)) findings.unacknowledged += 1
    else findings.wrong += 1
    others.add(text)
  }
  await log.close()
  findings.lost = expected.size
  return findings
}

const isOurs = (text: string, cities: City[]): boolean => {
  const [, index, attempt] = /^\{"index":(\d+),"attempt":(\d+),/.exec(text) ?? []
  return text === encodeCity(cities, Number(index), Number(attempt))
}
