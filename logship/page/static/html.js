// Markup as tagged templates. What is put in is always text or an element: nothing an event holds becomes markup.
import { h } from "./vendor/preact.js";
import htm from "./vendor/htm.js";

export const html = htm.bind(h);
