// Histories of a store that does one operation after the other, or breaks that in a known way: what
// the checker is tested with. One map in memory, clients that take turns by a seed.
import { randomNumbers } from '../history/simulator.js'
import type { Call, Key, Operation, Outcome, Value } from './history.js'

export type Fault =
  | 'stale-read' // what a key held before its last change
  | 'lost-update' // acknowledged and forgotten
  | 'dirty-read' // said to have failed, and seen nevertheless
  | 'twice' // of unknown fate, and applied two times

export interface Simulation {
  seed: number
  operations: number
  kind: 'registers' | 'lists'
  /** Default: 8. */
  clients?: number
  /** Default: 4. */
  keys?: number
  /** Which part has no known end. Default: 0.03. */
  unknown?: number
  /** Which part of the others fails. Default: 0.05. */
  failing?: number
  fault?: Fault | undefined
  /** Which part of the operations that might show the fault does. Default: 0.05. */
  faults?: number
}

type Content = Value | null | readonly Value[]

interface Cell {
  content: Content
  before: Content
}

interface Running {
  operation: Operation
  applied: boolean
}

const isChange = ({ f }: Call) => f !== 'get' && f !== 'read'

class Simulator {
  readonly history: Operation[] = []
  readonly #options: Required<Simulation>
  readonly #random: () => number
  readonly #cells = new Map<Key, Cell>()
  readonly #running: (Running | undefined)[]
  /** Given up by their clients; each may take effect at any time. */
  #late: Operation[] = []
  #clock = 0
  #values = 0

  constructor(options: Simulation) {
    const defaults = { clients: 8, keys: 4, unknown: 0.03, failing: 0.05, faults: 0.05 }
    this.#options = { fault: undefined, ...defaults, ...options }
    this.#random = randomNumbers(options.seed)
    this.#running = Array.from({ length: this.#options.clients }, () => undefined)
  }

  run(): Operation[] {
    const { clients, operations } = this.#options
    let busy = 0
    while (this.history.length < operations || busy > 0) {
      // Some events have the same time.
      if (this.#random() < 0.9) this.#clock += 1
      const client = this.#below(clients)
      const running = this.#running[client]
      if (running) {
        if (this.#step(running)) this.#running[client] = undefined
        if (!this.#running[client]) busy -= 1
      } else if (this.history.length < operations) {
        this.#running[client] = this.#invoke(client)
        busy += 1
      }
      this.#applyLate()
    }
    return this.history
  }

  #below(limit: number): number {
    return Math.floor(this.#random() * limit)
  }

  #happens(probability: number): boolean {
    return this.#random() < probability
  }

  #cellOf(key: Key): Cell {
    const nothing = this.#options.kind === 'lists' ? [] : null
    let cell = this.#cells.get(key)
    if (!cell) this.#cells.set(key, (cell = { content: nothing, before: nothing }))
    return cell
  }

  #invoke(client: number): Running {
    const key = `k${this.#below(this.#options.keys)}`
    const call = this.#options.kind === 'lists' ? this.#listCall() : this.#registerCall(key)
    const id = this.history.length + 1
    const invoked = this.#clock
    const operation: Operation = {
      ...{ id, process: `p${client}`, key, call, invoked },
      ...{ completed: undefined, outcome: 'unknown' },
    }
    this.history.push(operation)
    return { operation, applied: false }
  }

  #newValue(): number {
    this.#values += 1
    return this.#values
  }

  #listCall(): Call {
    return this.#happens(0.5) ? { f: 'read' } : { f: 'append', value: this.#newValue() }
  }

  #registerCall(key: Key): Call {
    const { content } = this.#cellOf(key)
    const value = this.#newValue()
    // Often the value that is there, so that something comes of it.
    const expected = this.#happens(0.7) ? (content as Value | null) : value - 1
    const calls: [number, Call][] = [
      [0.45, { f: 'get' }],
      [0.6, { f: 'put', value }],
      [0.72, { f: 'compareAndSet', expected, value }],
      [0.84, { f: 'add', delta: 1 + this.#below(3) }],
      [0.9, { f: 'putIfAbsent', value }],
      [0.95, { f: 'remove' }],
    ]
    const dice = this.#random()
    return calls.find(([limit]) => dice < limit)?.[1] ?? { f: 'take' }
  }

  // Whether it is over.
  #step(running: Running): boolean {
    const { unknown, failing, fault, faults } = this.#options
    const { operation, applied } = running
    if (applied) {
      this.#end(operation, 'ok')
      return true
    }
    if (this.#happens(unknown)) {
      this.#late.push(operation)
      return true
    }
    if (this.#happens(failing)) {
      if (fault === 'dirty-read' && this.#happens(faults))
        this.#apply(operation.key, operation.call)
      this.#end(operation, 'failed')
      return true
    }
    operation.call = this.#answer(operation)
    running.applied = true
    return false
  }

  #end(operation: Operation, outcome: Outcome): void {
    operation.outcome = outcome
    operation.completed = this.#clock
  }

  #applyLate(): void {
    if (this.#late.length === 0 || !this.#happens(0.02)) return
    const { fault } = this.#options
    const [operation] = this.#late.splice(this.#below(this.#late.length), 1)
    if (!operation || this.#happens(0.4)) return
    this.#apply(operation.key, operation.call)
    if (fault === 'twice') this.#apply(operation.key, operation.call)
  }

  // The call with its result.
  #answer({ key, call }: Operation): Call {
    const { fault, faults } = this.#options
    const cell = this.#cellOf(key)
    const { content, before } = cell
    if (fault === 'stale-read' && !isChange(call) && this.#happens(faults)) {
      return { ...call, result: before } as Call
    }
    const result = this.#apply(key, call)
    if (fault === 'lost-update' && isChange(call) && this.#happens(faults)) {
      cell.content = content
    }
    return result === undefined ? call : ({ ...call, result } as Call)
  }

  // Gives the result.
  #apply(key: Key, call: Call): Content | undefined {
    const cell = this.#cellOf(key)
    const { content } = cell
    const [result, behind] = effectOf(call, content)
    if (behind !== content) {
      cell.before = content
      cell.content = behind
    }
    return result
  }
}

// The result, and what is there behind it.
const effectOf = (call: Call, content: Content): [result: Content | undefined, behind: Content] => {
  switch (call.f) {
    case 'get':
    case 'read':
      return [content, content]
    case 'put':
      return [undefined, call.value]
    case 'remove':
      return [undefined, null]
    case 'take':
      return [content, null]
    case 'putIfAbsent':
      return content === null ? [true, call.value] : [false, content]
    case 'compareAndSet':
      return content === call.expected ? [true, call.value] : [false, content]
    case 'add': {
      const sum = Number(content) + call.delta
      return [sum, sum]
    }
    case 'append': {
      const list = [...(content as readonly Value[]), call.value]
      return [Number(call.value) % 2 === 0 ? list.length : undefined, list]
    }
  }
}

export const simulate = (simulation: Simulation): Operation[] => new Simulator(simulation).run()
