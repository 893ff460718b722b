import { defineConfig } from 'rolldown';

/** Dependencies stay in node_modules, where the few commands that need them load them. */
const isDependency = (id) => /^[^./]/.test(id);
/** Except those that are ES modules only and imported statically: before Node 22.13 `require` of one fails or warns. */
const isBundled = (id) => /^(openid-client|oauth4webapi|jose)(\/|$)/.test(id);

export default defineConfig([
  {
    // CommonJS, because starting Node's ES module loader costs a fifth of a bare start.
    input: { main: 'src/main.ts' },
    external: (id) => isDependency(id) && !isBundled(id),
    platform: 'node',
    output: {
      dir: 'dist/cli',
      format: 'cjs',
      entryFileNames: '[name].cjs',
      chunkFileNames: '[name].cjs',
      cleanDir: true,
    },
  },
  {
    input: { index: 'src/index.ts' },
    external: isDependency,
    platform: 'node',
    output: { dir: 'dist', format: 'esm', chunkFileNames: 'library/[name].js' },
  },
]);
