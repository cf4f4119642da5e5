// Planted bugs of lib: one place of a compiled file is changed, in a copy of the project that has
// what the unit tests need and nothing else.
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { at } from './project.mjs'

// `from` is there exactly once.
export const libMutants = [
  {
    name: 'BelieveLength', // the ticker waits for as many bytes as anybody announces
    file: 'demo/ticker/framing.js',
    from: 'length > this.limit',
    to: 'length > Infinity',
    unit: ['unit/ticker-framing', 'a body may be as long as the limit, and no longer'],
  },
  {
    name: 'KnowEverybody', // the ticker takes any number of addresses from anybody
    file: 'demo/ticker/hello.js',
    from: 'others.length > maxSites',
    to: 'others.length > Infinity',
    unit: ['unit/ticker-framing', 'no other bytes are a greeting'],
  },
  {
    name: 'TrustTransport', // a transport that says that it has not sent is not heard
    file: 'replication-sender.js',
    from: 'if (outcome === false)',
    to: 'if (outcome === NaN)',
    unit: [
      'unit/replication-messages',
      'a transport that gives false has not sent; the primary flushes and goes on',
    ],
  },
  {
    name: 'AdmitAll', // a transport whose promises never settle is given more and more
    file: 'replication-sender.js',
    from: 'open.calls < maxUnsettledCalls',
    to: 'open.calls < Infinity',
    unit: [
      'unit/replication-messages',
      'a transport that never settles is given so much and no more',
    ],
  },
  {
    name: 'KeepDebts', // a transport answers for what the one before it has not settled
    file: 'replication-sender.js',
    from: 'if (transport !== this.#transport)',
    to: 'if (transport === NaN)',
    unit: [
      'unit/replication-callbacks',
      'a transport that hangs can be replaced: the next one has none of its debts',
    ],
  },
  {
    name: 'AskOnce', // an election that has been left to another member is not asked for again
    file: 'replication-election.js',
    from: 'if (this.#member.isUnderWay())',
    to: 'if (this.#patienceMs > 0)',
    unit: [
      'unit/replication-callbacks',
      'an election asks again when nothing is under way, and not before',
    ],
  },
  {
    name: 'WaitForFailed', // an election goes on at a member that has failed
    file: 'replication.js',
    from: "this.#takeElection()?.reject(failedError('none', failure))",
    to: 'void failure',
    unit: [
      'unit/replication-callbacks',
      'what waits when a member fails is told, with the failure',
    ],
  },
  {
    name: 'TellClosed', // a member that a listener has closed tells on
    file: 'replication.js',
    from: 'if (this.#isClosing())',
    to: 'if (this.#isClosing() === undefined)',
    unit: [
      'unit/replication-callbacks',
      'listeners may call the member that tells them, and close it',
    ],
  },
  {
    name: 'SettleEarly', // a promise resolves before its position is as durable as asked for
    file: 'pending-ring.js',
    from: 'end > reached &&',
    to: 'end > Infinity &&',
    unit: ['unit/database', 'puts of different durability are settled each in its time'],
  },
  {
    name: 'AcknowledgeAlone', // promises of copies resolve when the own disk has it
    file: 'copy-waits.js',
    from: 'positions[rule] ?? 0',
    to: 'Infinity',
    unit: ['process/shuffle', 'a group of three keeps its promises for some seconds'],
  },
  {
    name: 'ForgetRollBack', // promises are not told of roll-backs
    file: 'commit-progress.js',
    from: 'if (history === this.#history)',
    to: 'if (history !== NaN)',
    unit: ['process/roll-back', 'whoever waits for what a roll-back takes back is told so'],
  },
  {
    name: 'KeepOldIds', // writes of a turn keep the ids that their databases had before
    file: 'commit-pipeline.js',
    from: 'this.#changeIds(ids);',
    to: '',
    unit: ['unit/database', 'writes of a turn find a database that somebody else has cleared'],
  },
  {
    name: 'KeepPrefix', // a key is looked for in the database that was read from before
    file: 'store-reads.js',
    from: 'if (id !== this.#prefixId)',
    to: 'if (this.#prefixId < 0)',
    unit: ['unit/database', 'a batch writes to several databases, all or nothing'],
  },
  {
    name: 'KeepValues', // rows of a walk stay in memory that others write to
    file: 'store-reads.js',
    from: 'before?.saveValues()',
    to: 'void before',
    unit: ['unit/range', 'walks and reads that take turns do not disturb each other'],
  },
  {
    name: 'JoinAnyLevel', // puts share a record whatever their durability
    file: 'commit-pipeline.js',
    from: 'this.#openLevel === level &&',
    to: '',
    unit: ['unit/database', 'puts of one turn with different durability are different commits'],
  },
  {
    name: 'AcceptAfterClose', // calls go on while the environment is being closed
    file: 'commit-progress.js',
    from: 'this.#closed = true',
    to: 'this.#closed = false',
    unit: ['unit/environment', 'close settles what is pending and ends what is open'],
  },
  {
    name: 'KeepForgottenTransactions', // a transaction that nobody ends keeps its slot
    file: 'transaction.js',
    from: 'view.releaseWhenCollectedLater()',
    to: 'void view',
    unit: ['process/views', 'forgotten snapshots, walks and transactions give their places back'],
  },
  {
    name: 'SettleWithoutCopies', // a promise does not wait for what others acknowledge
    file: 'copy-waits.js',
    from: 'Math.min(here, positions[rule] ?? 0)',
    to: 'here',
    unit: ['unit/levels-waits', 'a promise waits for the local level and for the rule'],
  },
  {
    name: 'SettleCopiesOnly', // a promise that waits for copies does not wait for this machine
    file: 'copy-waits.js',
    from: 'Math.min(here, positions[rule] ?? 0)',
    to: 'positions[rule] ?? 0',
    unit: ['unit/levels-waits', 'a promise waits for the local level and for the rule'],
  },
  {
    name: 'KeepCopiesRolledBack', // who waits for copies is not told of roll-backs
    file: 'copy-waits.js',
    from: 'ring.rejectWhere(isGone, error)',
    to: 'void isGone, error',
    unit: ['unit/levels-waits', 'a roll-back rejects what it takes back, and nothing else'],
  },
  {
    name: 'NeverTimeOut', // no timer is set for deadlines
    file: 'copy-waits.js',
    from: 'if (at < this.#next)',
    to: 'if (at < 0)',
    unit: ['unit/levels-waits', 'a time that is over rejects with a token, and the others go on'],
  },
  {
    name: 'KeepDeadlines', // a slot keeps the deadline of a promise that has been settled
    file: 'pending-ring.js',
    from: 'this.#deadlines[slot] = 0',
    to: 'void slot',
    unit: ['unit/levels-waits', 'a promise that is kept in time is not rejected later'],
  },
  {
    name: 'CopiesOfNobody', // copies are waited for where there is no group
    file: 'levels.js',
    from: 'this.#inGroup = this.#native.inGroup()',
    to: 'this.#inGroup = true',
    unit: [
      'unit/reads',
      'without a group every write that asks for copies is refused, and does nothing',
    ],
  },
  {
    name: 'SnapshotTooEarly', // a snapshot does not have the commit that it was asked to have
    file: 'group-waits.js',
    from: 'if (taken.lsn >= end)',
    to: 'if (taken.lsn >= 0)',
    unit: ['unit/reads', 'a snapshot waits for a position that somebody else has still to commit'],
  },
  {
    name: 'TakeForeignToken', // tokens of other groups are taken
    file: 'token.js',
    from: "if (bytes.toString('hex', 1, bodyAt) !== groupId)",
    to: "if (groupId === '')",
    unit: ['unit/receipt-token', 'a token of another group is refused'],
  },
  {
    name: 'TrustEnds', // a commit is there when its position is, whose ever that is
    file: 'group-waits.js',
    from: 'if (token && !isThere(context, token, false))',
    to: 'if (token === null)',
    unit: [
      'unit/levels-group',
      'a reign that ends leaves promises open until the group has decided',
    ],
  },
  {
    name: 'WaitForRolledBack', // a commit that the group has gone on without is waited for
    file: 'group-waits.js',
    from: "if (fate === 'rolledBack')",
    to: "if (fate === 'none')",
    unit: [
      'unit/levels-group',
      'a reign that ends leaves promises open until the group has decided',
    ],
  },
  {
    name: 'ForgetCopiesAtClose', // who waits for copies is told nothing when all is closed
    file: 'environment.js',
    from: 'pipeline.abandonOthers();',
    to: '',
    unit: ['unit/levels-group', 'closing settles whoever waits for the group, with a token'],
  },
]

const plant = (path, { name, from, to }) => {
  const text = readFileSync(path, 'utf8')
  if (text.split(from).length !== 2) throw new Error(`${name}: "${from}" is not there once`)
  writeFileSync(
    path,
    text.replace(from, () => to),
  )
}

// Calls `use` with the root of a copy that has the bug.
export const withMutant = async (mutant, use) => {
  const copy = mkdtempSync(join(tmpdir(), 'ringleader-mutant-'))
  try {
    for (const name of ['package.json', 'ava.config.js', 'dist', 'dist-test', 'test']) {
      cpSync(at(name), join(copy, name), { recursive: true })
    }
    symlinkSync(at('node_modules'), join(copy, 'node_modules'))
    plant(join(copy, 'dist', mutant.file), mutant)
    return await use(copy)
  } finally {
    rmSync(copy, { recursive: true, force: true })
  }
}
