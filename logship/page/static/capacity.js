// Capacity of each service over the last 30 days. It is computed when the panel is opened: the query reads many events.
import { html } from "./html.js";
import { useAsk } from "./api.js";
import { useState } from "./vendor/hooks.js";
import { Numbers, Problem, Text } from "./parts.js";
import { here } from "./url.js";

/** Estimates in the order in which they answer: how much, how much is possible, what limits it, and until when. */
const SHOWN = ["peak rate", "maximum rate", "limited by", "utilization at peak", "workers needed", "enough until"];

export function Capacity() {
  const [open, setOpen] = useState(false);
  return html`<details class="panel" onToggle=${(/** @type {any} */ event) => setOpen(event.target.open)}>
      <summary>Capacity: what the workers can carry, from the last 30 days</summary>
      ${open && html`<${Estimates} />`}</details>`;
}

function Estimates() {
  const { data, error } = useAsk("capacity", { service: here().params.service });
  if (error && !data) return html`<${Problem} error=${error} />`;
  if (!data) return html`<p class="soft" role="status">Computing…</p>`;
  if (!data.services.length) return html`<p class="soft">No requests in the last 30 days.</p>`;
  return data.services.map(
    (/** @type {any} */ one) => html`<h3><${Text} value=${one.service} most=${60} /></h3>
      <p class="verdict"><${Text} value=${one.sentence} most=${300} /></p>
      <${Numbers} caption=${`Capacity of ${one.service}`} heads=${["Estimate", "value", "confidence", "derived from"]}
        rows=${one.estimates
          .filter((/** @type {any} */ estimate) => SHOWN.includes(estimate.name))
          .map((/** @type {any} */ estimate) => [
            estimate.name,
            html`<${Text} value=${estimate.text} most=${80} />`,
            estimate.confidence,
            html`<${Text} value=${estimate.derived} most=${300} />`,
          ])} />`,
  );
}
