// A group that a test writes down: what the addon would say, and where the positions stand.
import { CopyWaits } from '#lib/copy-waits'
import { commitPosition, firstRulePosition, termPosition } from '#lib/durability'
import { GroupFacts } from '#lib/group-facts'
import { Levels } from '#lib/levels'
import type { Appended } from 'ringleader'

const tokenBytes = 20

export class FakeGroup {
  readonly groupId = '00112233445566778899aabbccddeeff'
  readonly positions = new Float64Array(64)
  member = true
  watched = 0 // how often somebody began to
  watching = false
  rules: string[] = []
  judgement = 3 // open

  inGroup(): boolean {
    return this.member
  }
  defineLevel(kind: number, count: number, level: number, distinct: boolean): number {
    return this.rules.push(`${kind} ${count} ${level} ${distinct}`) - 1
  }
  watchGroup(watch: boolean): void {
    if (watch) this.watched += 1
    this.watching = watch
  }
  tokenOf(end: number, term: number): ArrayBuffer | undefined {
    if (term === 13) return undefined // a reign that nobody knows
    const body = new ArrayBuffer(tokenBytes)
    const view = new DataView(body)
    view.setBigUint64(0, BigInt(end), true)
    view.setUint32(8, term, true)
    return body
  }
  judge(): number {
    return this.judgement
  }
  factsOf() {
    const survives = { process: true, power: false, anyOneDisk: false, election: false }
    return { copies: [], survives, permanentFailed: false }
  }
  lagMs(): number {
    return 0
  }
  askRead(): number {
    return 1
  }
  readAnswer(): number {
    return 0
  }

  /** Where rule `index` stands. */
  setRule(index: number, position: number): void {
    this.positions[firstRulePosition + index] = position
  }
  /** Where this machine stands: visible, written, flushed. */
  setLocal(visible: number, written: number, flushed: number): void {
    this.positions.set([visible, written, flushed])
  }
  setGroup(commit: number, newestTerm: number): void {
    this.positions[commitPosition] = commit
    this.positions[termPosition] = newestTerm
  }
}

/** Promises over a fake group, settled by hand. */
export const waitsOver = (group: FakeGroup, durability: unknown = 'flushed') => {
  const facts = new GroupFacts(group)
  const levels = new Levels(group, durability)
  let gone = 0
  const make = (lsn: number, end: number): Appended => ({ lsn, end })
  const waits = new CopyWaits(group, group.positions, make, facts, () => {
    gone += 1
  })
  /** A promise of a level that has no position yet. */
  const promise = (level: number): Promise<Appended> =>
    new Promise((resolve, reject) => {
      waits.ring(level).add(resolve, reject)
    })
  /** The oldest promise of the level has its position. */
  const place = (level: number, end: number, term = 1): void => {
    waits.ring(level % 256).place(end - 8, end, term)
  }
  return { waits, levels, facts, promise, place, gone: () => gone }
}
