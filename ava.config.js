// Tests are TypeScript, compiled by "npm test" before ava runs; ava maps test/x.test.ts to its
// compiled file.
export default {
  files: ['test/**/*.test.ts'],
  typescript: {
    rewritePaths: { 'test/': 'dist-test/test/' },
    compile: false,
  },
  timeout: '60s',
  // Every open environment takes terabytes of addresses: a process has room for some fifty.
  workerThreads: false,
}
