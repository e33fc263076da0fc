/** How the page looks: by day, by night and on paper. */

export const styleSheet = `
:root { color-scheme: light dark; --line: #c8ccd0; --soft: #f3f4f6; --link: #0b57d0 }
@media (prefers-color-scheme: dark) { :root { --line: #4a4f55; --soft: #23272b; --link: #8ab4f8 } }
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 72rem; margin: 0 auto; padding: 1rem }
a { color: var(--link) }
h2 { border-bottom: 2px solid var(--line); margin-top: 3rem }
h3 { margin: 2rem 0 0.5rem; overflow-wrap: anywhere }
h4 { margin: 1rem 0 0.25rem }
p { margin: 0.25rem 0 }
nav ul { padding-left: 1.25rem; margin: 0 }
nav h3 { margin-top: 1rem }
table { border-collapse: collapse; width: 100%; margin: 0.25rem 0 }
th, td { border: 1px solid var(--line); padding: 0.25rem 0.5rem; text-align: left; vertical-align: top }
th { font-weight: 600 }
code { font: 0.9em ui-monospace, monospace }
td code, pre code { overflow-wrap: anywhere }
pre { background: var(--soft); padding: 0.75rem; white-space: pre-wrap }
article:target > h3 { background: var(--soft) }
@media print {
  nav { display: none }
  body { max-width: none; font-size: 9pt }
  article { break-inside: avoid-page }
  a { color: inherit; text-decoration: none }
}
`;
