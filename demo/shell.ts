import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { execPath } from 'node:process';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import type { Environment } from './environment.js';
import type { Stage } from './stage.js';

/** Something did not go as the demo promises. */
export class DemoFailure extends Error {
  override readonly name = 'DemoFailure';

  /** What to do about it. */
  readonly hint: string | undefined;

  constructor(message: string, hint?: string) {
    super(message);
    this.hint = hint;
  }
}

export interface Surroundings {
  readonly cwd: string;
  readonly env: Environment;
  /** Ends the programs that run. */
  readonly signal: AbortSignal;
}

interface Run {
  readonly exitCode: number | null;
  readonly stdout: string;
}

interface RunOptions {
  readonly input?: string;
  /** Called with each line of stdout and stderr as it comes. */
  readonly onLine?: (line: string) => void;
}

/** Where a new user types: each command is shown, then run, and its output shown. */
export class Shell {
  readonly #stage: Stage;
  readonly #program: string;
  readonly #surroundings: Surroundings;
  readonly #stopped = new AbortController();
  readonly #running = new Set<Promise<unknown>>();
  readonly signal: AbortSignal;

  /** @param program the file that Node runs as `authcli` */
  constructor(stage: Stage, program: string, surroundings: Surroundings) {
    this.#stage = stage;
    this.#program = program;
    this.#surroundings = surroundings;
    this.signal = AbortSignal.any([surroundings.signal, this.#stopped.signal]);
  }

  /** Ends the programs that still run, and is done when they are gone. */
  async stop(): Promise<void> {
    this.#stopped.abort();
    await Promise.allSettled(this.#running);
  }

  /** @throws DemoFailure where it ends with another exit code */
  async authcli(
    args: readonly string[],
    exitCode = 0,
    onLine: (line: string) => void = () => undefined,
  ): Promise<void> {
    const command = ['authcli', ...args].join(' ');
    this.#stage.command(command);
    const ended = await this.#run(execPath, [this.#program, ...args], {
      onLine: (line) => {
        this.#stage.programOutput(line);
        onLine(line);
      },
    });
    expect(ended.exitCode === exitCode, `\`${command}\` ended with exit code ${ended.exitCode}`);
  }

  /** The answer of a command that is not shown. */
  async answerOf(args: readonly string[]): Promise<string> {
    const { exitCode, stdout } = await this.#run(execPath, [this.#program, ...args]);
    expect(exitCode === 0, `\`authcli ${args.join(' ')}\` ended with exit code ${exitCode}`);
    return stdout;
  }

  async #hasCurl(): Promise<boolean> {
    return this.#run('curl', ['--version']).then(
      ({ exitCode }) => exitCode === 0,
      () => false,
    );
  }

  /** `authcli token --output header | curl -fsS -H @- url`. @returns the header that it sent */
  async callApi(url: string): Promise<string> {
    const header = await this.answerOf(['token', '--output', 'header']);
    expect(
      await this.#sends('authcli token --output header', header, url),
      'the API refused the access token',
    );
    return header;
  }

  /** `echo "$header" | curl -fsS -H @- url`, which has to fail. */
  async callApiInVain(header: string, url: string): Promise<void> {
    expect(!(await this.#sends('echo "$header"', header, url)), 'the API still took the access token');
  }

  async #sends(source: string, header: string, url: string): Promise<boolean> {
    this.#stage.command(`${source} | curl -fsS -H @- ${url}`);
    const onLine = (line: string) => this.#stage.programOutput(line);
    if (await this.#hasCurl()) {
      const { exitCode } = await this.#run('curl', ['-fsS', '-H', '@-', url], { input: header, onLine });
      return exitCode === 0;
    }
    this.#stage.say("There is no curl here, so Node's fetch sends the same request:");
    const response = await fetch(url, { headers: { authorization: header.trim().replace(/^.*?: /, '') } });
    onLine(`${response.status} ${(await response.text()).trim()}`);
    return response.ok;
  }

  #run(program: string, args: readonly string[], options: RunOptions = {}): Promise<Run> {
    const { cwd, env } = this.#surroundings;
    const running = runToEnd(spawn(program, args, { cwd, env, signal: this.signal }), options);
    this.#running.add(running);
    return running.finally(() => this.#running.delete(running));
  }
}

function runToEnd(child: ChildProcessWithoutNullStreams, { input = '', onLine }: RunOptions): Promise<Run> {
  return new Promise((resolve, reject) => {
    const stdout = linesOf(child.stdout, onLine);
    linesOf(child.stderr, onLine);
    // A program may end without reading what it is given.
    child.stdin.on('error', () => undefined).end(input);
    let failure: Error | undefined;
    child.on('error', (error) => {
      failure = error;
    });
    // Also when it was told to end: what it writes last must not come after its folders are removed.
    child.on('close', (exitCode) => {
      if (failure === undefined) resolve({ exitCode, stdout: stdout.join('\n') });
      else reject(failure);
    });
  });
}

export function expect(condition: boolean, failure: string): asserts condition {
  if (!condition) throw new DemoFailure(failure);
}

function linesOf(stream: Readable, onLine: (line: string) => void = () => undefined): readonly string[] {
  const lines: string[] = [];
  createInterface({ input: stream, crlfDelay: Infinity }).on('line', (line) => {
    lines.push(line);
    onLine(line);
  });
  return lines;
}
