/**
 * The document of a webview. Its content comes only by messages, and pages put text into it as text: nothing that a guest says
 * is ever markup. The policy allows our script, our style, and nothing from anywhere else.
 */

import { randomBytes } from 'node:crypto';
import * as vscode from 'vscode';

/** Pages, by the names of their scripts in dist/pages and their styles in media. */
export type PageName = 'doctor' | 'memory' | 'registers';

export function preparePage(webview: vscode.Webview, extension: vscode.Uri, name: PageName): void {
  webview.options = {
    enableScripts: true,
    localResourceRoots: [
      vscode.Uri.joinPath(extension, 'dist', 'pages'),
      vscode.Uri.joinPath(extension, 'media'),
    ],
  };
  const uri = (...parts: string[]): string =>
    webview.asWebviewUri(vscode.Uri.joinPath(extension, ...parts)).toString();
  webview.html = pageHtml({
    source: webview.cspSource,
    nonce: randomBytes(16).toString('base64'),
    script: uri('dist', 'pages', `${name}.js`),
    styles: [uri('media', 'page.css'), uri('media', `${name}.css`)],
    name,
  });
}

interface PageParts {
  readonly source: string;
  readonly nonce: string;
  readonly script: string;
  readonly styles: readonly string[];
  readonly name: PageName;
}

function pageHtml({ source, nonce, script, styles, name }: PageParts): string {
  const policy = `default-src 'none'; style-src ${source}; script-src 'nonce-${nonce}'`;
  return [
    '<!DOCTYPE html>',
    '<html lang="en">',
    '<head>',
    '<meta charset="utf-8">',
    `<meta http-equiv="Content-Security-Policy" content="${policy}">`,
    ...styles.map((style) => `<link rel="stylesheet" href="${style}">`),
    '</head>',
    `<body class="${name}">`,
    `<script nonce="${nonce}" src="${script}"></script>`,
    '</body>',
    '</html>',
  ].join('\n');
}
