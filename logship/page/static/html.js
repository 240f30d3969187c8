// Markup as tagged templates. Values are inserted as text or elements: no content of an event becomes markup.
import { h } from "./vendor/preact.js";
import htm from "./vendor/htm.js";

export const html = htm.bind(h);
