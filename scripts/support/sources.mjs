// native/sources.list: one file per line, relative to native/; lines starting with # are comments.

export const listedSources = (text) =>
  text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'))

// Relative to the project, without the files that only tests use.
export const addonSources = (text) =>
  listedSources(text)
    .filter((source) => !source.startsWith('env/sim/'))
    .map((source) => `native/${source}`)
