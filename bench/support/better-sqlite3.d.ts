// The part of better-sqlite3 that the benches use; the package brings no types.
declare module 'better-sqlite3' {
  interface Statement {
    run(...parameters: unknown[]): unknown
    get(...parameters: unknown[]): unknown
    iterate(...parameters: unknown[]): IterableIterator<unknown>
    raw(): this
    pluck(): this
  }
  class Database {
    constructor(file: string)
    pragma(text: string): unknown
    exec(text: string): this
    prepare(text: string): Statement
    close(): void
  }
  export default Database
}
