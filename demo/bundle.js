// Bundles the demo and the benchmark for a Node that reads no TypeScript. They run in this folder only, so packages
// stay outside. Not `rolldown --config`: at every log level that lists its files, where the demo should begin.
import { fileURLToPath } from 'node:url';
import { build } from 'rolldown';

await build({
  cwd: fileURLToPath(new URL('..', import.meta.url)),
  input: { demo: 'demo/demo.ts', bench: 'bench/bench.ts' },
  platform: 'node',
  external: /^[^./]/,
  output: { dir: 'build', format: 'esm', cleanDir: true },
});
