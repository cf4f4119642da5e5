// What lies between the members: every message is on a link from one to another, and a link loses,
// repeats and delays what is on it, each by its own weather. What has different delays overtakes.

export interface Weather {
  /** Parts of the messages that are lost, and that come twice. */
  loss: number
  repeats: number
  /** Milliseconds that a message takes, at least and at most. */
  delay: readonly [least: number, most: number]
}

export interface Carried {
  messages: number
  lost: number
  repeated: number
  /** Arrived before one that was sent earlier on the same link. */
  reordered: number
}

type Deliver = (to: number, message: Message) => void

export interface Message {
  from: number
  deliver: (to: number) => void
}

const calm: Weather = { loss: 0, repeats: 0, delay: [0, 2] }
const weathers: readonly Weather[] = [
  calm,
  { loss: 0.03, repeats: 0.05, delay: [0, 20] },
  { loss: 0.1, repeats: 0.2, delay: [0, 80] },
  { loss: 0.3, repeats: 0.5, delay: [0, 150] },
  { loss: 0, repeats: 0, delay: [30, 120] },
  { loss: 0.02, repeats: 0.9, delay: [0, 30] },
]
/** Of those that come twice, so many come much later. */
const latePart = 0.1
const lateMs = 4_000

interface Link {
  weather: Weather
  isCut: boolean
  sent: number
  /** The latest that has arrived. */
  arrived: number
}

export class Shuffler {
  readonly carried: Carried = { messages: 0, lost: 0, repeated: 0, reordered: 0 }
  readonly #members: readonly number[]
  readonly #random: () => number
  readonly #deliver: Deliver
  readonly #links = new Map<string, Link>()
  readonly #timers = new Set<NodeJS.Timeout>()

  constructor(members: readonly number[], random: () => number, deliver: Deliver) {
    this.#members = members
    this.#random = random
    this.#deliver = deliver
    for (const from of members) {
      for (const to of members) {
        const link = { weather: calm, isCut: false, sent: 0, arrived: 0 }
        if (from !== to) this.#links.set(`${from} ${to}`, link)
      }
    }
  }

  /** -1: to all others. */
  send(message: Message, to: number): void {
    for (const receiver of to === -1 ? this.#members : [to]) {
      if (receiver !== message.from) this.#carry(message, receiver)
    }
  }

  #below(limit: number): number {
    return Math.floor(this.#random() * limit)
  }

  #carry(message: Message, to: number): void {
    const link = this.#links.get(`${message.from} ${to}`)
    if (!link) return
    const { loss, repeats } = link.weather
    this.carried.messages += 1
    link.sent += 1
    const number = link.sent
    if (link.isCut || this.#random() < loss) this.carried.lost += 1
    else this.#later(link, number, message, to, this.#delayOf(link))
    if (!link.isCut && this.#random() < repeats) {
      this.carried.repeated += 1
      const late = this.#random() < latePart ? this.#below(lateMs) : 0
      this.#later(link, number, message, to, late + this.#delayOf(link))
    }
  }

  #delayOf({ weather: { delay } }: Link): number {
    const [least, most] = delay
    return least + (most - least) * this.#random()
  }

  #later(link: Link, number: number, message: Message, to: number, delayMs: number): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer)
      if (number < link.arrived) this.carried.reordered += 1
      link.arrived = Math.max(link.arrived, number)
      this.#deliver(to, message)
    }, delayMs)
    this.#timers.add(timer)
  }

  /** Other weather, on all links or on some; sometimes some of them are cut. */
  change(): void {
    const kind = this.#below(10)
    const weather = () => weathers[this.#below(weathers.length)] ?? calm
    const everywhere = weather()
    const isolated = this.#members[this.#below(this.#members.length)] ?? 0
    const half = new Set(this.#members.filter(() => this.#random() < 0.5))
    for (const [name, link] of this.#links) {
      const [from = 0, to = 0] = name.split(' ').map(Number)
      link.weather = kind < 5 ? everywhere : weather()
      link.isCut = false
      if (kind === 7) link.isCut = from === isolated || to === isolated
      // One way only.
      if (kind === 8) link.isCut = from === isolated
      if (kind === 9) link.isCut = half.has(from) !== half.has(to)
      if (kind === 6) link.isCut = this.#random() < 0.2
    }
  }

  /** From now on everything arrives. */
  heal(): void {
    for (const link of this.#links.values()) {
      link.weather = calm
      link.isCut = false
    }
  }

  stop(): void {
    for (const timer of this.#timers) clearTimeout(timer)
    this.#timers.clear()
  }
}
