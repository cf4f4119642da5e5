// What two sites tell each other first on a connection: who they are, and whom else they know.
//
// Nothing proves it. Whoever can reach the port can say that it is any of the sites: sites that do
// not trust their network put TLS with certificates on both sides under this.
import { FrameError } from './framing.js'

/** "host:port" */
export type Address = string

export interface Hello {
  /** Sites of other groups are not spoken to. */
  group: string
  member: number
  /** Where it listens. */
  address: Address
  /** Others, so that it is enough to know one of them. */
  others: [member: number, address: Address][]
}

export const maxHelloBytes = 8192
export const maxSites = 32

const maxMember = 2 ** 31 - 1
const addressPattern = /^[\w.:[\]-]{1,200}:\d{1,5}$/

export const isMember = (value: unknown): value is number =>
  Number.isInteger(value) && (value as number) >= 0 && (value as number) <= maxMember

export const isAddress = (value: unknown): value is Address => {
  if (typeof value !== 'string' || !addressPattern.test(value)) return false
  return Number(value.slice(value.lastIndexOf(':') + 1)) <= 65_535
}

export const hostAndPort = (address: Address): { host: string; port: number } => {
  const colon = address.lastIndexOf(':')
  const host = address.slice(0, colon).replace(/^\[(.*)\]$/, '$1') // [::1]:7001
  return { host, port: Number(address.slice(colon + 1)) }
}

export const encodeHello = (hello: Hello): Buffer => Buffer.from(JSON.stringify(hello))

const isOther = (value: unknown): value is [number, Address] =>
  Array.isArray(value) && value.length === 2 && isMember(value[0]) && isAddress(value[1])

/** Throws FrameError for anything else than a Hello. */
export const decodeHello = (body: Buffer): Hello => {
  let value: unknown
  try {
    value = JSON.parse(body.toString())
  } catch {
    throw new FrameError('a greeting that is no JSON')
  }
  const { group, member, address, others } = Object(value) as Record<string, unknown>
  if (
    typeof group !== 'string' ||
    !isMember(member) ||
    !isAddress(address) ||
    !Array.isArray(others) ||
    others.length > maxSites ||
    !others.every(isOther)
  ) {
    throw new FrameError('a greeting without what has to be in it')
  }
  return { group, member, address, others }
}
