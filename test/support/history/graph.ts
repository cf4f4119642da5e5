// Directed graphs of many nodes: strongly connected components and shortest paths. Nothing here is
// recursive: a history may be one path through 100,000 transactions.

export interface Arc {
  from: number
  to: number
}

/** Arcs by the node that they leave. Nodes are numbers from 0. */
export type Graph<E extends Arc> = readonly (readonly E[])[]

export const graphOf = <E extends Arc>(size: number, arcs: Iterable<E>): Graph<E> => {
  const graph = Array.from({ length: size }, (): E[] => [])
  for (const arc of arcs) graph[arc.from]?.push(arc)
  return graph
}

/** The component of every node, by Tarjan's algorithm. Numbers are from 0, sinks first. */
export const componentsOf = (graph: Graph<Arc>): Int32Array => {
  const size = graph.length
  const components = new Int32Array(size).fill(-1)
  const found = new Int32Array(size) // when, from 1
  const lowest = new Int32Array(size) // the earliest that can be reached and has no component
  const nextArc = new Int32Array(size)
  const open: number[] = [] // found, without a component
  let time = 0
  let count = 0

  const enter = (node: number, path: number[]) => {
    time += 1
    found[node] = time
    lowest[node] = time
    open.push(node)
    path.push(node)
  }

  const lower = (node: number, to: number) => {
    lowest[node] = Math.min(lowest[node] ?? 0, to)
  }

  const leave = (node: number, path: number[]) => {
    path.pop()
    const parent = path.at(-1)
    if (parent !== undefined) lower(parent, lowest[node] ?? 0)
    if (lowest[node] !== found[node]) return
    for (;;) {
      const member = open.pop() ?? node
      components[member] = count
      if (member === node) break
    }
    count += 1
  }

  for (let root = 0; root < size; root += 1) {
    if (found[root] !== 0) continue
    const path: number[] = []
    enter(root, path)
    for (let node = path.at(-1); node !== undefined; node = path.at(-1)) {
      const at = nextArc[node] ?? 0
      const arc = graph[node]?.[at]
      nextArc[node] = at + 1
      if (arc === undefined) leave(node, path)
      else if (found[arc.to] === 0) enter(arc.to, path)
      else if (components[arc.to] === -1) lower(node, found[arc.to] ?? 0)
    }
  }
  return components
}

/** The nodes of every component that has more than one. */
export const knotsOf = (graph: Graph<Arc>): number[][] => {
  const components = componentsOf(graph)
  const members = new Map<number, number[]>()
  components.forEach((component, node) => {
    const nodes = members.get(component)
    if (nodes) nodes.push(node)
    else members.set(component, [node])
  })
  return [...members.values()].filter((nodes) => nodes.length > 1)
}

/** The arcs of a shortest path; undefined where there is none. */
export const shortestPath = <E extends Arc>(
  graph: Graph<E>,
  start: number,
  goal: number,
): E[] | undefined => {
  const reachedBy = new Map<number, E | undefined>([[start, undefined]])
  // Grows while it is walked through.
  const reached = [start]
  for (const node of reached) {
    if (node === goal) break
    for (const arc of graph[node] ?? []) {
      if (reachedBy.has(arc.to)) continue
      reachedBy.set(arc.to, arc)
      reached.push(arc.to)
    }
  }
  if (!reachedBy.has(goal)) return undefined
  const path: E[] = []
  for (let arc = reachedBy.get(goal); arc; arc = reachedBy.get(arc.from)) path.push(arc)
  return path.reverse()
}
