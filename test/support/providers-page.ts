import { explained } from '../../src/commands/provider-presets.js';
import {
  addCommand,
  expandPreset,
  redirectUris,
  registration,
  sampleSettings,
} from '../../src/providers/expand-preset.js';
import { presetIds, readPreset, type Preset } from '../../src/providers/presets.js';

const introduction = `# Providers

<!-- Made from src/providers/catalogue: \`npx vitest run test/published-documents.test.ts -u\` writes it anew. -->

authcli signs in to any OAuth 2.0 or OpenID Connect provider: \`authcli login --issuer URL --client-id ID\` is all that one with
metadata and a free loopback port needs. For those below it brings along what is special about them:

\`\`\`sh
authcli provider presets            # this list
authcli provider presets keycloak   # how to register a client there
authcli provider add work --preset keycloak --set url=https://sso.example.com --set realm=acme --client-id ID
\`\`\`

\`provider add\` writes the whole entry into your configuration, where every line of it can be seen and changed; the preset is not
looked at again. \`--scope\` and \`--issuer\` replace what the preset says.

You bring the client: authcli ships no client IDs and no secrets. **public** means that the client needs no secret, **secret** that
the provider wants one, **either** that it may have one. A secret never stands in the configuration: it is fetched from a
variable, a file or a command.

Nobody has signed in to each of these services with authcli. What could not be read in the provider's documentation or source is
listed under _From memory, not verified_; the ways through the providers' consoles are from memory too, and change. Corrections are
welcome.
`;

/** Of the providers that were looked at; the reasons are what authcli would have to do for them. */
const leftOut: readonly (readonly [providers: string, reason: string])[] = [
  [
    'Shopify',
    'the callback has to be checked with an HMAC that is keyed with the client secret, and the shop chosen for each login',
  ],
  ['Deezer, Huawei, Mixcloud', '`state` does not come back: it would have to stand inside the redirect URI'],
  ['Trovo', 'token requests are JSON, with the client ID in a header'],
  ['Basecamp', 'a draft of OAuth 2.0: no `response_type`, no `grant_type`'],
  [
    'Sign in with Apple',
    'the client secret is a JWT that has to be signed for each request, and the callback an https address that takes a form',
  ],
  ['World ID', 'the token endpoint fails when it is sent the `redirect_uri`'],
];

const limits = `## With limits

- Linear, Meetup and SubscribeStar tell who signed in by GraphQL only, HubSpot, Stack Exchange and Weibo only where the token is part
  of an address, which authcli never does: tokens work, \`whoami\` has little to say.
- For Bitly, who says no comes back without an \`error\`: the sign-in waits until its time is up.
`;

/** `docs/providers.md`. */
export function providersPage(): string {
  const presets = presetIds().map(readPreset);
  const rows = presets.map(
    (preset) => `| [${preset.id}](#${preset.id}) | ${summaryOf(preset).join(' | ')} |`,
  );
  return [
    introduction,
    `## The ${presets.length} presets\n`,
    ['| preset | provider | settings | client | redirect URI |', '|---|---|---|---|---|', ...rows, ''].join(
      '\n',
    ),
    limits,
    '## Left out\n',
    ['| provider | why |', '|---|---|', ...leftOut.map(([name, why]) => `| ${name} | ${why} |`), ''].join(
      '\n',
    ),
    ...presets.map(sectionOf),
  ].join('\n');
}

const clients = { required: 'secret', optional: 'either' } as const;

function summaryOf(preset: Preset): string[] {
  const entry = expandPreset(preset, sampleSettings(preset), 'ID');
  const [first = ''] = redirectUris(entry);
  const { ports } = entry.redirect ?? {};
  return [
    preset.name,
    Object.keys(preset.settings).join(', '),
    preset.secret === undefined ? 'public' : clients[preset.secret.need],
    ports === undefined ? `\`${first}\`, any port` : `\`${first}\`${ports.length > 1 ? ', …' : ''}`,
  ];
}

function sectionOf(preset: Preset): string {
  const settings = Object.entries(preset.settings).map(([name, one]) => `\`${name}\`: ${explained(one)}`);
  return [
    `## ${preset.id}\n`,
    `[${preset.name}](${preset.documentation})\n`,
    ...listed('Settings:', settings),
    ...listed('To register a client:', registration(preset)),
    `\`\`\`sh\n${addCommand(preset)}\n\`\`\`\n`,
    ...listed('Good to know:', preset.notes),
    ...listed('_From memory, not verified:_', preset.unverified),
  ].join('\n');
}

function listed(title: string, lines: readonly string[]): string[] {
  return lines.length === 0 ? [] : [`${title}\n`, ...lines.map((line) => `- ${line}`), ''];
}
