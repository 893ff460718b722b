import { spawn } from 'node:child_process';
import { createRequire } from 'node:module';
import { dirname } from 'node:path';

import type { Keychain, KeychainRead, KeychainTrouble, KeychainWrite, Patience } from './keychain.js';
import { nativeTrouble, silentKeychain } from './native-keychain-trouble.js';
import { waitPatiently } from './wait-patiently.js';

interface Request {
  readonly method: 'getPassword' | 'setPassword' | 'deletePassword';
  readonly account: string;
  readonly secret?: string;
}

/**
 * What the child runs: the binding's path is its argument, one request is its input, one answer its output. Pinned on
 * Linux, where the binding would otherwise fall back to the kernel's keyring, which forgets.
 */
const childProgram = `
  let input = '';
  process.stdin.setEncoding('utf8').on('data', (chunk) => { input += chunk; }).on('end', () => {
    const { method, account, secret } = JSON.parse(input);
    let answer;
    try {
      const { Entry } = require(process.argv[1]);
      try {
        const entry = new Entry('authcli', account, { linux: { store: 'secret-service' } });
        answer = { value: method === 'setPassword' ? entry.setPassword(secret) : entry[method]() };
      } catch (error) {
        answer = { refusal: error.message };
      }
    } catch {
      answer = { notInstalled: true };
    }
    process.stdout.write(JSON.stringify(answer));
  });
`;

/**
 * The keychain of macOS and Windows. A native call cannot be abandoned, not even by process.exit(), while its dialog
 * is open; so each runs in a child process of ours, which can be killed. macOS decides by itself whether to show a
 * dialog, for each version of Node anew: `mayPrompt` cannot hold it back, only the end of the patience ends it.
 * @param env what the child inherits
 */
export function nativeKeychain(execPath: string, env: Environment): Keychain {
  const ask = (request: Request, patience: Patience) => askChild({ execPath, env }, request, patience);
  const change = async (request: Request, patience: Patience): Promise<KeychainWrite> => {
    const answer = await ask(request, patience);
    return 'kind' in answer ? answer : { kind: 'done' };
  };
  return {
    async read(account, patience): Promise<KeychainRead> {
      const answer = await ask({ method: 'getPassword', account }, patience);
      if ('kind' in answer) return answer;
      return typeof answer.value === 'string' ? { kind: 'found', secret: answer.value } : { kind: 'missing' };
    },
    write: (account, secret, patience) => change({ method: 'setPassword', account, secret }, patience),
    remove: (account, patience) => change({ method: 'deletePassword', account }, patience),
  };
}

type Environment = Readonly<Record<string, string | undefined>>;

type Answer = { readonly value: unknown } | KeychainTrouble;

function askChild(
  { execPath, env }: { readonly execPath: string; readonly env: Environment },
  request: Request,
  patience: Patience,
): Promise<Answer> {
  let binding: string;
  try {
    binding = createRequire(import.meta.url).resolve('@napi-rs/keyring');
  } catch {
    return Promise.resolve(nativeTrouble({ notInstalled: true }));
  }
  return new Promise((resolve, reject) => {
    const child = spawn(execPath, ['-e', childProgram, binding], {
      // Beside Node itself: the current folder may be a stranger's.
      cwd: dirname(execPath),
      env,
      stdio: ['pipe', 'pipe', 'ignore'],
      windowsHide: true,
    });
    const kill = (): void => {
      stopWaiting();
      child.kill('SIGKILL');
      child.stdout.destroy();
      child.unref();
    };
    const stopWaiting = waitPatiently(patience, {
      giveUp(waited) {
        kill();
        resolve(silentKeychain(waited));
      },
      interrupt(reason) {
        kill();
        reject(reason);
      },
    });
    let output = '';
    child.stdout.setEncoding('utf8').on('data', (chunk) => {
      output += String(chunk);
    });
    child.on('error', (error) => {
      stopWaiting();
      resolve(nativeTrouble({ refusal: error.message }));
    });
    child.on('close', () => {
      stopWaiting();
      resolve(decodeAnswer(output));
    });
    // A child that died early has said so by its end; the broken pipe adds nothing.
    child.stdin.on('error', () => {});
    child.stdin.end(JSON.stringify(request));
  });
}

function decodeAnswer(output: string): Answer {
  try {
    const answer: unknown = JSON.parse(output);
    if (typeof answer !== 'object' || answer === null) throw new TypeError('no object');
    if ('notInstalled' in answer) return nativeTrouble({ notInstalled: true });
    if ('refusal' in answer) return nativeTrouble({ refusal: String(answer.refusal) });
    return { value: 'value' in answer ? answer.value : undefined };
  } catch {
    return nativeTrouble({ refusal: 'it ended without an answer' });
  }
}
