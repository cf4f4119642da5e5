// Planted bugs of lib: one place of a compiled file is changed, in a copy of the project that has
// what the unit tests need and nothing else.
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { at } from './project.mjs'

// `from` is there exactly once.
export const libMutants = [
  {
    name: 'SettleEarly', // a promise resolves before its position is as durable as asked for
    file: 'pending-ring.js',
    from: 'end > reached &&',
    to: 'end > Infinity &&',
    unit: ['unit/database', 'puts of different durability are settled each in its time'],
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
