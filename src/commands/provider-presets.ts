import type { Preset, Setting } from '../providers/presets.js';
import { printableJson } from '../remote-text.js';
import { formatTable } from '../terminal/table.js';
import type { Command } from './command.js';

export const providerPresets: Command = {
  name: 'provider presets',
  summary: 'list the providers that need no description, or show one',
  options: {},
  argument: '[NAME]',

  async run(_options, { world, terminal, globals }, name) {
    const { presetIds, readPreset } = await import('../providers/presets.js');
    if (name !== '') {
      const preset = readPreset(name);
      world.stdout.write(globals.json ? `${printableJson(preset)}\n` : await description(preset));
      return;
    }
    const presets = presetIds().map(readPreset);
    if (globals.json) {
      world.stdout.write(`${printableJson({ presets })}\n`);
      return;
    }
    const rows = presets.map((preset) => [preset.id, preset.name, settingsOf(preset)]);
    world.stdout.write(formatTable(['PRESET', 'PROVIDER', 'SETTINGS'], rows));
    terminal.notice('how to register a client there: authcli provider presets NAME');
  },
};

function settingsOf({ settings }: Preset): string {
  return Object.entries(settings)
    .map(([name, one]) => (one.default === undefined && !one.optional ? name : `[${name}]`))
    .join(' ');
}

async function description(preset: Preset): Promise<string> {
  const { addCommand, registration } = await import('../providers/expand-preset.js');
  const settings = Object.entries(preset.settings).map(([name, one]) => `${name}: ${explained(one)}`);
  const parts = [
    [`${preset.name}, ${preset.documentation}`],
    settings.length > 0 ? ['Settings:', ...bulleted(settings)] : [],
    ['Register a client:', ...bulleted(registration(preset))],
    ['Then:', `  ${addCommand(preset)}`],
    secretAdvice(preset),
    preset.notes.length > 0 ? ['Good to know:', ...bulleted(preset.notes)] : [],
    preset.unverified.length > 0 ? ['From memory, not verified:', ...bulleted(preset.unverified)] : [],
  ];
  return parts
    .filter((lines) => lines.length > 0)
    .map((lines) => lines.map((line) => `${line}\n`).join(''))
    .join('\n');
}

function secretAdvice({ secret }: Preset): string[] {
  if (secret === undefined) return [];
  return [
    secret.need === 'required'
      ? 'The client has a secret: say where it is kept.'
      : 'If the client has a secret, say where it is kept.',
  ];
}

export function explained({ what, choices, default: chosen, optional, example }: Setting): string {
  const facts = [
    choices && `one of ${Object.keys(choices).join(', ')}`,
    chosen && `${chosen} if absent`,
    optional && 'may be absent',
    example && `such as ${example}`,
  ].filter((fact) => typeof fact === 'string');
  return facts.length === 0 ? what : `${what} (${facts.join('; ')})`;
}

function bulleted(lines: readonly string[]): string[] {
  return lines.map((line) => `  - ${line}`);
}
