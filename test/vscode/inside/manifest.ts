/** What the extension promises in its manifest, as a VS Code has understood it. */

import assert from 'node:assert/strict';
import * as vscode from 'vscode';
import type { Bdd } from './run';

interface Manifest {
  readonly contributes: {
    readonly commands: readonly { readonly command: string }[];
    readonly debuggers: readonly {
      readonly type: string;
      readonly configurationSnippets: readonly { readonly body: { readonly name: string } }[];
    }[];
    readonly configuration: { readonly properties: Readonly<Record<string, unknown>> };
  };
}

export function manifestSuite({ describe, it }: Bdd): void {
  const extension = vscode.extensions.getExtension('vmkd.vmkd');

  describe('the extension', () => {
    it('is there, and asleep until somebody needs it', () => {
      assert.ok(extension);
      assert.equal(extension.isActive, false);
    });

    it('has every command that it promises', async () => {
      await extension!.activate();
      const known = new Set(await vscode.commands.getCommands(true));
      const { commands } = (extension!.packageJSON as Manifest).contributes;
      assert.deepEqual(
        commands.filter(({ command }) => !known.has(command)),
        [],
      );
    });

    it('offers “Attach to VMware kernel”', () => {
      const [debuggerOfKernels] = (extension!.packageJSON as Manifest).contributes.debuggers;
      assert.equal(debuggerOfKernels!.type, 'vmkd');
      assert.ok(
        debuggerOfKernels!.configurationSnippets.some(({ body }) => body.name === 'Attach to VMware kernel'),
      );
    });

    it('has its settings', () => {
      const settings = vscode.workspace.getConfiguration('vmkd');
      assert.equal(settings.get('node'), '');
      assert.equal(settings.get('vmrun'), '');
    });
  });
}
