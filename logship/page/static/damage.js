// A banner in every view while the store has set damaged files aside: no result contains their events.
import { html } from "./html.js";
import { useEffect, useState } from "./vendor/hooks.js";
import { ask, idle, useAnswer } from "./api.js";
import { Notice } from "./parts.js";
import * as words from "./words.js";

const REFRESH_MS = 60_000;
const FILES_NAMED = 3;

/** @typedef {{name: string, reason: string, events: number}} DamagedFile */

export function DamageBanner() {
  const [refresh, setRefresh] = useState(0);
  useEffect(() => {
    const timer = setInterval(() => {
      if (!document.hidden) setRefresh((n) => n + 1);
    }, REFRESH_MS);
    return () => clearInterval(timer);
  }, []);
  const { data } = useAnswer(`set_aside ${refresh}`, async (signal) => {
    await idle();
    return /** @type {DamagedFile[]} */ ((await ask("set_aside", {}, signal)).files);
  });
  if (!data?.length) return null;
  const events = data.reduce((sum, file) => sum + file.events, 0);
  return html`<${Notice} kind="bad damage">
      <p><strong>${words.plural(data.length, "file")} of the store ${data.length === 1 ? "is" : "are"} damaged.</strong>
        ${" "}
        All results lack the ${words.plural(events, "event")} stored in ${data.length === 1 ? "it" : "them"}.</p>
      <ul>${data.slice(0, FILES_NAMED).map((file) => html`<${File} key=${file.name} file=${file} />`)}</ul>
      ${data.length > FILES_NAMED && html`<p class="soft">${data.length - FILES_NAMED} more files</p>`}
    </${Notice}>`;
}

/** @param {{file: DamagedFile}} given */
const File = ({ file }) => html`<li><code>${words.short(file.name, 100)}</code>:${" "}
    ${words.plural(file.events, "event")}, ${words.short(file.reason, 300)}</li>`;
