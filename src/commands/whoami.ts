import { AuthClient } from '../client/auth-client.js';
import { formatTable } from '../terminal/table.js';
import { printableJson } from '../remote-text.js';
import { chosenProvider, clientSurroundings, type Command } from './command.js';

/** What is about the token and not about the person. */
const technical: ReadonlySet<string> = new Set(
  'iss aud azp exp iat nbf nonce at_hash c_hash s_hash sid jti auth_time acr amr'.split(' '),
);

export const whoami: Command = {
  name: 'whoami',
  summary: 'show who the session belongs to',
  options: {},

  async run(_options, context) {
    const { world, globals } = context;
    const { provider } = await chosenProvider(context);
    const client = new AuthClient(clientSurroundings(context));
    const claims = await client.whoami(provider, { account: globals.account, store: globals.store });
    const about = { provider: provider.name, issuer: provider.issuer };
    if (globals.json) {
      world.stdout.write(`${printableJson({ ...claims, ...about })}\n`);
      return;
    }
    const known = Object.entries(claims).filter(([name]) => !technical.has(name));
    const rows = [...Object.entries(about), ...known].map(([name, value]) => [
      name,
      typeof value === 'string' ? value : printableJson(value),
    ]);
    world.stdout.write(formatTable(rows[0] ?? [], rows.slice(1)));
  },
};
