import { platform } from 'node:process';
import { fileURLToPath } from 'node:url';
import type { DemoEnvironment } from './environment.js';
import type { Stage } from './stage.js';

const agent = fileURLToPath(new URL('../test/support/agent.js', import.meta.url));

/** What to type in another terminal while the provider stays up. */
export function invite(stage: Stage, issuer: string, program: string, env: DemoEnvironment): void {
  stage.heading('Now you');
  stage.say(`The provider stays at ${issuer} until Ctrl-C. In another terminal:`);
  for (const line of preparations(program, env)) stage.command(line);
  stage.command('authcli login -p demo');
  stage.command(`curl -H "Authorization: Bearer $(authcli token)" ${issuer}/api/hello`);
  stage.command('authcli status');
  stage.command('authcli logout');
  stage.say('Sign in as jane@acme.test or john@acme.test. Without a browser:');
  stage.command(`authcli login -p demo --browser "node '${agent}'"`);
}

function preparations(program: string, { AUTHCLI_CONFIG_DIR, AUTHCLI_STATE_DIR }: DemoEnvironment): string[] {
  return platform === 'win32'
    ? [
        `$env:AUTHCLI_CONFIG_DIR = '${AUTHCLI_CONFIG_DIR}'; $env:AUTHCLI_STATE_DIR = '${AUTHCLI_STATE_DIR}'`,
        `function authcli { node '${program}' @args }`,
      ]
    : [
        `export AUTHCLI_CONFIG_DIR='${AUTHCLI_CONFIG_DIR}' AUTHCLI_STATE_DIR='${AUTHCLI_STATE_DIR}'`,
        `authcli() { node '${program}' "$@"; }`,
      ];
}
