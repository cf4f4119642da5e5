// Finds the cycles of a dependency graph and says which anomaly each of them is.
//
// A knot (a strongly connected component with more than one transaction) is reported once, with the
// gravest anomaly in it:
//
//   G0             a cycle of ww
//   G1c            of ww and wr
//   G-single       with exactly one rw (read skew, lost update)
//   G-nonadjacent  with several rw, none directly behind another one
//   G2             with rw directly behind rw (write skew)
//
// Snapshot isolation permits G2 only. Cycles that need an edge of real time or of a process have
// the suffix `-order`; without these edges they are none.
import type { Dependency } from './dependencies.js'
import { graphOf, knotsOf, shortestPath, type Arc, type Graph } from './graph.js'

export type CycleAnomaly = 'G0' | 'G1c' | 'G-single' | 'G-nonadjacent' | 'G2'

export type OrderAnomaly = `${CycleAnomaly}-order`

export interface Cycle {
  type: CycleAnomaly
  arcs: Dependency[]
}

// How many arcs are tried for the shortest of the cycles through them.
const arcsTried = 64
// How many before a cycle with one rw alone is given up; that with several is found at once.
const readsTried = 2000

type Kinds = readonly Dependency['kind'][]

class Knot {
  readonly #size: number
  readonly #arcs: Dependency[]
  /** Whether only cycles with an `order` arc count. */
  readonly #ordered: boolean

  constructor(size: number, arcs: Dependency[], ordered: boolean) {
    this.#size = size
    this.#arcs = arcs
    this.#ordered = ordered
  }

  gravest(): Cycle | undefined {
    return (
      this.#cycleOf('G0', ['ww', 'order'], 'ww') ??
      this.#cycleOf('G1c', ['ww', 'wr', 'order'], 'wr') ??
      this.#withoutAdjacentReads() ??
      this.#cycleOf('G2', ['ww', 'wr', 'rw', 'order'], 'rw')
    )
  }

  #counts(arcs: readonly Dependency[]): boolean {
    return !this.#ordered || arcs.some(({ kind }) => kind === 'order')
  }

  #graph(kinds: Kinds): Graph<Dependency> {
    return graphOf(
      this.#size,
      this.#arcs.filter(({ kind }) => kinds.includes(kind)),
    )
  }

  // A short cycle of these kinds, through an arc that makes it what it is.
  #cycleOf(type: CycleAnomaly, kinds: Kinds, mark: Dependency['kind']): Cycle | undefined {
    const graph = this.#graph(kinds)
    const knots = knotsOf(graph)
    const marks = this.#ordered ? 'order' : mark
    const arcs = insideOf(graph, knots).filter(({ kind }) => kind === marks)
    let shortest: Dependency[] | undefined
    for (const arc of arcs.slice(0, arcsTried)) {
      const back = shortestPath(graph, arc.to, arc.from)
      if (back && !(shortest && shortest.length <= back.length + 1)) shortest = [arc, ...back]
    }
    return shortest && { type, arcs: shortest }
  }

  // In this graph every transaction is two nodes: reached by rw, or otherwise. By rw one gets from
  // the second to the first only, so its cycles are those in which no rw follows another.
  #withoutAdjacentReads(): Cycle | undefined {
    const arcs = this.#arcs.flatMap((arc): Doubled[] => {
      const from = 2 * arc.from
      const to = 2 * arc.to
      if (arc.kind === 'rw') return [{ from, to: to + 1, arc }]
      return [
        { from, to, arc },
        { from: from + 1, to, arc },
      ]
    })
    const graph = graphOf(2 * this.#size, arcs)
    const reads = insideOf(graph, knotsOf(graph)).filter(({ arc }) => arc.kind === 'rw')
    return this.#withOneRead(reads) ?? this.#withSeveralReads(graph, reads)
  }

  #withOneRead(reads: Doubled[]): Cycle | undefined {
    const graph = this.#graph(['ww', 'wr', 'order'])
    for (const { arc } of reads.slice(0, readsTried)) {
      const back = shortestPath(graph, arc.to, arc.from)
      if (back && this.#counts(back)) return { type: 'G-single', arcs: [arc, ...back] }
    }
    return undefined
  }

  #withSeveralReads(graph: Graph<Doubled>, reads: Doubled[]): Cycle | undefined {
    for (const read of reads.slice(0, arcsTried)) {
      const back = shortestPath(graph, read.to, read.from)
      if (!back) continue
      const arcs = [read, ...back].map(({ arc }) => arc)
      if (this.#counts(arcs)) return { type: 'G-nonadjacent', arcs }
    }
    return undefined
  }
}

interface Doubled extends Arc {
  arc: Dependency
}

// The arcs that lie on some cycle.
const insideOf = <E extends Arc>(graph: Graph<E>, knots: readonly (readonly number[])[]): E[] => {
  const knotOf = new Map<number, number>()
  knots.forEach((nodes, knot) => {
    for (const node of nodes) knotOf.set(node, knot)
  })
  return knots.flatMap((nodes, knot) =>
    nodes.flatMap((node) => (graph[node] ?? []).filter(({ to }) => knotOf.get(to) === knot)),
  )
}

/** One cycle of every knot; with `ordered`, of those only that have a cycle with an order edge. */
export const findCycles = (
  size: number,
  dependencies: readonly Dependency[],
  ordered: boolean,
): Cycle[] => {
  const graph = graphOf(size, dependencies)
  return knotsOf(graph).flatMap((nodes) => {
    const local = new Map(nodes.map((node, i) => [node, i]))
    const inner = insideOf(graph, [nodes]).map((arc) => ({
      ...arc,
      from: local.get(arc.from) ?? 0,
      to: local.get(arc.to) ?? 0,
    }))
    const cycle = new Knot(nodes.length, inner, ordered).gravest()
    if (!cycle) return []
    const arcs = cycle.arcs.map((arc) => ({
      ...arc,
      from: nodes[arc.from] ?? 0,
      to: nodes[arc.to] ?? 0,
    }))
    return [{ type: cycle.type, arcs }]
  })
}
