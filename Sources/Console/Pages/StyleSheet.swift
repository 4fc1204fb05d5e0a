/// Colours have a contrast of 4.5:1 at least for text, in both schemes; nothing is told by colour
/// alone.
let styleSheet = #"""
    :root {
      color-scheme: light dark;
      --paper: #f6f7f9; --sheet: #fff; --ink: #17202b; --quiet: #54606e; --line: #d5dbe2;
      --bar: #14283c; --bar-ink: #fff; --bar-quiet: #b9c7d6;
      --link: #0a58a6; --focus: #b54708;
      --way: #0b5394; --way-wash: #e3eefa; --done: #17663a; --done-wash: #e2f3e8;
      --fail: #a3201d; --fail-wash: #fbe6e5; --wait: #54606e; --wait-wash: #eceff2;
      --warn: #6b3d00; --warn-wash: #fff1d6;
      --mono: ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace;
    }
    @media (prefers-color-scheme: dark) {
      :root {
        --paper: #10161d; --sheet: #18212b; --ink: #e6ebf0; --quiet: #a3b0bd; --line: #313d4a;
        --bar: #0a1119; --bar-ink: #fff; --bar-quiet: #a9b8c7;
        --link: #84bdf5; --focus: #ffb066;
        --way: #8fc3f7; --way-wash: #16304a; --done: #84d6a3; --done-wash: #143624;
        --fail: #ff9d97; --fail-wash: #471b1a; --wait: #a3b0bd; --wait-wash: #26313d;
        --warn: #ffcf7d; --warn-wash: #40300f;
      }
    }
    *, *::before, *::after { box-sizing: border-box; }
    html { font-size: 100%; -webkit-text-size-adjust: 100%; }
    body { margin: 0; background: var(--paper); color: var(--ink);
      font: 0.9375rem/1.45 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans",
        "DejaVu Sans", sans-serif; }
    .inner { width: 100%; max-width: 84rem; margin-inline: auto; padding-inline: 1.25rem; }
    a { color: var(--link); text-underline-offset: 0.15em; }
    a:hover { text-decoration-thickness: 2px; }
    :focus-visible { outline: 3px solid var(--focus); outline-offset: 2px; border-radius: 2px; }
    main:focus { outline: none; }
    h1 { font-size: 1.5rem; line-height: 1.25; margin: 0; font-weight: 650; }
    h2 { font-size: 1.0625rem; margin: 1.75rem 0 0.6rem; font-weight: 650; }
    code, .id, .code { font-family: var(--mono); font-size: 0.92em; }
    code { overflow-wrap: anywhere; }
    .quiet { color: var(--quiet); font-size: 0.875rem; }
    .unseen { position: absolute; width: 1px; height: 1px; margin: -1px; padding: 0;
      overflow: hidden; clip-path: inset(50%); white-space: nowrap; border: 0; }
    .skip { position: absolute; left: 0.5rem; top: -4rem; background: var(--sheet);
      color: var(--link); padding: 0.6rem 1rem; z-index: 2; }
    .skip:focus { top: 0.5rem; }

    .top { background: var(--bar); color: var(--bar-ink); }
    .top .inner { display: flex; flex-wrap: wrap; align-items: center; gap: 0.4rem 1.75rem;
      padding-top: 0.7rem; padding-bottom: 0.7rem; }
    .top :focus-visible { outline-color: #ffd08a; }
    .brand { margin: 0; font-weight: 650; }
    .brand a { color: inherit; text-decoration: none; }
    .brand .place { display: block; font-weight: 400; font-size: 0.8125rem;
      color: var(--bar-quiet); }
    .top nav ul { display: flex; flex-wrap: wrap; gap: 0 0.25rem; list-style: none; margin: 0;
      padding: 0; }
    .top nav a, .top nav button { display: inline-block; color: var(--bar-ink);
      padding: 0.4rem 0.7rem; text-decoration: none; border-bottom: 2px solid transparent; }
    .top nav a:hover, .top nav button:hover { border-bottom-color: var(--bar-quiet); }
    .top nav [aria-current] { border-bottom-color: currentColor; font-weight: 600; }
    .clock { display: flex; flex-wrap: wrap; gap: 0.2rem 1.5rem; margin: 0 0 0 auto; }
    .clock dt { font-size: 0.75rem; color: var(--bar-quiet); }
    .clock dd { margin: 0; font-variant-numeric: tabular-nums; font-size: 0.875rem; }

    .trouble { background: var(--warn-wash); color: var(--warn);
      border-bottom: 2px solid currentColor; padding: 0.7rem 0; }
    .trouble p { margin: 0; } .trouble ul { margin: 0; padding-left: 1.2rem; }
    main { padding-top: 1.4rem; padding-bottom: 2rem; display: block; }
    .title { display: flex; flex-wrap: wrap; justify-content: space-between; gap: 0.75rem;
      align-items: center; margin-bottom: 1rem; }
    .lead { color: var(--quiet); max-width: 46rem; margin: 0.35rem 0 1rem; }
    .foot { color: var(--quiet); font-size: 0.8125rem; padding-bottom: 1.5rem; }
    #link { color: var(--fail); font-weight: 600; }

    button { font: inherit; color: #fff; background: #0a58a6; border: 1px solid #0a58a6;
      border-radius: 4px; padding: 0.45rem 0.9rem; min-height: 2.4rem; cursor: pointer; }
    button:hover { background: #084780; }
    button:disabled { background: var(--wait-wash); color: var(--quiet);
      border-color: var(--line); cursor: default; }
    button.small { min-height: 1.9rem; padding: 0.2rem 0.7rem; background: transparent;
      color: var(--link); border-color: var(--link); }
    button.small:hover { background: var(--way-wash); }
    button.link { background: none; border: 0; min-height: 0; border-radius: 0; font: inherit; }
    select, input { font: inherit; color: inherit; background: var(--sheet);
      border: 1px solid #7b8794; border-radius: 4px; padding: 0.35rem 0.5rem; min-height: 2.4rem;
      width: 100%; }

    .filter { display: grid; gap: 0.6rem 0.9rem; align-items: end; background: var(--sheet);
      grid-template-columns: repeat(auto-fit, minmax(8.4rem, 1fr)); margin: 0 0 1rem;
      border: 1px solid var(--line); border-radius: 6px; padding: 0.8rem 0.9rem; }
    .filter label { display: block; font-size: 0.8125rem; color: var(--quiet);
      margin-bottom: 0.15rem; }
    .filter .do { display: flex; gap: 0.9rem; align-items: center; }
    .filter .do a { padding: 0.35rem 0; }
    .login { max-width: 24rem; } .login label { display: block; }
    .wrong { color: var(--fail); }

    .counts { display: flex; flex-wrap: wrap; gap: 0.5rem 1rem; align-items: center;
      justify-content: space-between; margin: 0 0 0.9rem; }
    .counts ul { display: flex; flex-wrap: wrap; gap: 0.4rem; list-style: none; margin: 0;
      padding: 0; }
    .counts p { margin: 0; }
    .counts li a { display: inline-block; padding: 0.25rem 0.65rem; border-radius: 1rem;
      border: 1px solid var(--line); background: var(--sheet); text-decoration: none;
      font-size: 0.875rem; }
    .counts li a[aria-current] { border-color: currentColor; box-shadow: inset 0 0 0 1px; }
    .counts strong { font-variant-numeric: tabular-nums; margin-left: 0.2rem; }
    .counts .underWay { color: var(--way); } .counts .done { color: var(--done); }
    .counts .failed, .counts .refused { color: var(--fail); }

    .badge { display: inline-block; white-space: nowrap; border-radius: 4px; font-size: 0.8125rem;
      font-weight: 600; padding: 0.05rem 0.5rem; background: var(--wait-wash);
      color: var(--wait); }
    .badge.underWay, .badge.running { background: var(--way-wash); color: var(--way); }
    .badge.done { background: var(--done-wash); color: var(--done); }
    .badge.failed, .badge.refused { background: var(--fail-wash); color: var(--fail); }
    .badge.part { background: var(--warn-wash); color: var(--warn); }
    .code.bad { color: var(--fail); } .code.warn { color: var(--warn); }
    .code { font-weight: 600; }

    table { border-collapse: collapse; width: 100%; background: var(--sheet); }
    caption { text-align: left; color: var(--quiet); font-size: 0.875rem;
      padding: 0 0 0.4rem; }
    .rows { border: 1px solid var(--line); margin-bottom: 1rem; }
    .rows caption { margin: 0; }
    th, td { text-align: left; vertical-align: top; padding: 0.5rem 0.75rem;
      border-bottom: 1px solid var(--line); }
    thead th { font-size: 0.8125rem; color: var(--quiet); font-weight: 600;
      background: var(--paper); }
    tbody th { font-weight: 600; }
    tbody th .quiet, td .quiet { display: block; font-weight: 400; }
    .rows tbody tr:hover { background: var(--paper); }
    .id { display: block; font-weight: 400; font-size: 0.75rem; color: var(--quiet);
      overflow-wrap: anywhere; }
    time { font-variant-numeric: tabular-nums; white-space: nowrap; }
    .share { display: block; width: 100%; min-width: 7rem; height: 0.45rem;
      margin: 0.35rem 0 0.2rem; background: var(--wait-wash); border-radius: 3px; }
    rect.underWay { fill: var(--way); } rect.done { fill: var(--done); }
    rect.failed, rect.refused { fill: var(--fail); }
    progress { width: 6rem; height: 0.6rem; vertical-align: middle; accent-color: var(--way); }
    .meter { display: inline-block; white-space: nowrap; margin-left: 0.3rem;
      font-variant-numeric: tabular-nums; font-size: 0.8125rem; }
    .empty { background: var(--sheet); border: 1px dashed #7b8794; border-radius: 6px;
      padding: 1rem; color: var(--quiet); max-width: none; }
    .empty p { margin: 0; }
    .pager { margin: 0.5rem 0; }

    .path ol { display: flex; flex-wrap: wrap; list-style: none; margin: 0 0 0.4rem; padding: 0;
      font-size: 0.875rem; color: var(--quiet); }
    .path li + li::before { content: "›"; padding: 0 0.5rem; }
    .facts { display: grid; gap: 0.7rem 1.5rem; margin: 1rem 0 1.2rem; padding: 0.9rem 1rem;
      grid-template-columns: repeat(auto-fill, minmax(13rem, 1fr)); background: var(--sheet);
      border: 1px solid var(--line); border-radius: 6px; }
    .facts .wide { grid-column: 1 / -1; }
    .facts dt { font-size: 0.8125rem; color: var(--quiet); } .facts dd { margin: 0; }
    .facts dd .quiet { display: block; }

    .run { background: var(--sheet); border: 1px solid var(--line); border-radius: 6px;
      padding: 0.8rem 1rem; margin-bottom: 1rem; }
    .run h2 { margin: 0 0 0.5rem; }
    .run ol { display: grid; gap: 0.3rem 1.5rem; margin: 0; padding: 0; list-style: none;
      grid-template-columns: repeat(auto-fit, minmax(17rem, 1fr)); }
    .run li { color: var(--wait); } .run li .step { display: block; font-weight: 600; }
    .run li.running { color: var(--way); } .run li.done { color: var(--done); }
    .run li.failed { color: var(--fail); }

    .line { list-style: none; margin: 0; padding: 0 0 0 1.1rem;
      border-left: 2px solid var(--line); }
    .line > li { position: relative; padding: 0 0 1.1rem; }
    .line > li::before { content: ""; position: absolute; left: calc(-1.475rem - 1px);
      top: 0.35rem;
      width: 0.75rem; height: 0.75rem; border-radius: 50%; background: var(--wait);
      border: 2px solid var(--paper); }
    .line > li.underWay::before { background: var(--way); }
    .line > li.done::before { background: var(--done); }
    .line > li.failed::before, .line > li.refused::before { background: var(--fail); border-radius: 0; }
    .line p { margin: 0 0 0.15rem; max-width: 60rem; }
    details { margin: 0.35rem 0 0; }
    summary { cursor: pointer; color: var(--link); padding: 0.2rem 0; }
    .scroll { overflow-x: auto; margin-top: 0.4rem; border: 1px solid var(--line); }
    .fields { font-size: 0.8125rem; min-width: 34rem; }
    .fields caption { padding: 0.5rem 0.75rem; }
    .fields th, .fields td { padding: 0.25rem 0.75rem; }
    .fields td code { word-break: break-all; }
    .fields .depth1 { padding-left: 1.75rem; } .fields .depth2 { padding-left: 2.75rem; }
    .fields .depth3 { padding-left: 3.75rem; } .fields tbody th { font-weight: 500; }

    .operation { background: var(--sheet); border: 1px solid var(--line); border-radius: 6px;
      padding: 0.7rem 1rem; margin-bottom: 0.6rem; }
    .operation h3 { margin: 0; font-size: 0.9375rem; font-family: var(--mono);
      overflow-wrap: anywhere; }
    .operation p { margin: 0.25rem 0; max-width: 60rem; }
    .method { display: inline-block; min-width: 3.6rem; color: var(--way); }
    .operation thead th:first-child { width: 11rem; }
    .rows td > code, .rows th > a > code { white-space: nowrap; }
    .operation table { margin-top: 0.4rem; font-size: 0.875rem; }
    .operation tbody * { overflow-wrap: anywhere; }

    @media (prefers-reduced-motion: no-preference) {
      .fresh { animation: fresh 1.6s ease-out; }
      @keyframes fresh { from { background: var(--way-wash); } }
    }
    @media (max-width: 47rem) {
      .inner { padding-inline: 0.8rem; }
      .clock { margin-left: 0; width: 100%; justify-content: space-between; gap: 0.2rem 0.8rem; }
      .top nav ul { margin-left: -0.7rem; }
      .filter { grid-template-columns: 1fr 1fr; }
      .filter .do { grid-column: 1 / -1; }
      .rows { border: 0; background: none; }
      .rows, .rows tbody, .rows tr, .rows td, .rows tbody th, .rows caption { display: block; }
      .rows thead { position: absolute; width: 1px; height: 1px; overflow: hidden;
        clip-path: inset(50%); }
      .rows tr { background: var(--sheet); border: 1px solid var(--line); border-radius: 6px;
        padding: 0.5rem 0.8rem; margin-bottom: 0.7rem; }
      .rows td, .rows tbody th { border: 0; padding: 0.2rem 0; }
      .rows td { display: grid; grid-template-columns: 7.2rem minmax(0, 1fr);
        column-gap: 0.6rem; align-items: start; }
      .rows td::before { content: attr(data-label); color: var(--quiet); font-size: 0.8125rem;
        grid-row: 1 / span 4; }
      .rows td > * { grid-column: 2; justify-self: start; }
      .rows td > .share { justify-self: stretch; }
      .meter { margin-left: 0; }
      .operation thead th:first-child { width: 6rem; }
      .operation th, .operation td { padding-inline: 0.3rem; }
      .scroll { margin-left: -1rem; }
      .operation th, .operation td { overflow-wrap: anywhere; padding-inline: 0.4rem; }
      .operation thead th:first-child { width: auto; }
    }
    @media (max-width: 24rem) { .filter select, .filter input { padding: 0.35rem 0.3rem; } }
    @media (forced-colors: active) { .badge, .counts li a { border: 1px solid; } }
    @media print { .top nav, .filter, #demo, .skip { display: none; } }

    """#
