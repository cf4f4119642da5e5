// Tests are TypeScript, compiled by "npm test" before ava runs; ava maps test/x.test.ts to its
// compiled file.
export default {
  files: ['test/**/*.test.ts'],
  typescript: {
    rewritePaths: { 'test/': 'dist-test/test/' },
    compile: false,
  },
  // Without any test that ends. A file of properties may take a minute on a busy machine.
  timeout: '5m',
  // Every open environment takes terabytes of addresses: a process has room for some fifty.
  workerThreads: false,
}
