import type { World } from '../world.js';
import type { Terminal } from './terminal.js';

export interface Spinner {
  stop(): void;
}

/** Shows that something is waited for and how long yet; nothing where nobody looks. */
export async function startSpinner(
  text: string,
  until: Date,
  world: World,
  terminal: Terminal,
): Promise<Spinner> {
  const { stream } = world.stderr;
  // A terminal whose size was never set has no columns, and ora would count its lines for ever.
  if (!terminal.isInteractive || !stream?.columns) return { stop() {} };
  const { default: ora } = await import('ora');
  const line = () => `${text} (${timeLeft(until.getTime() - world.now().getTime())} left, Ctrl-C to cancel)`;
  await terminal.settled();
  // By default ora takes stdin over, and with it Ctrl-C and what a person pastes.
  const color = terminal.hasColour ? 'cyan' : false;
  const spinner = ora({ text: line(), stream, color, discardStdin: false }).start();
  const clock = setInterval(() => (spinner.text = line()), 1_000);
  clock.unref();
  terminal.around((write) => {
    spinner.clear();
    write();
    spinner.render();
  });
  return {
    stop() {
      clearInterval(clock);
      terminal.around(undefined);
      spinner.stop();
    },
  };
}

function timeLeft(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000));
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`;
}
