// Tests are TypeScript, compiled by "npm test" before ava runs; ava maps test/x.test.ts to its
// compiled file.
export default {
  files: ['test/**/*.test.ts'],
  typescript: {
    rewritePaths: { 'test/': 'dist-test/test/' },
    compile: false,
  },
  timeout: '60s',
}
