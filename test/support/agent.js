#!/usr/bin/env node
// A person at a browser, as a program for `--browser`: agent.js [--deny | --leave] [--as LOGIN] URL
import { parseArgs } from 'node:util';
import { approves, approvesAs, denies, neverComesBack } from './user-agents.js';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { deny: { type: 'boolean' }, leave: { type: 'boolean' }, as: { type: 'string' } },
});
const agent = values.deny
  ? denies
  : values.leave
    ? neverComesBack
    : values.as
      ? approvesAs(values.as)
      : approves;
await agent(new URL(positionals[0] ?? ''));
