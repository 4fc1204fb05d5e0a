let headTemplate = #"""
    <!DOCTYPE html>
    <html lang="en">
    <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <meta name="color-scheme" content="light dark">
    <title>{{frame.title}} · Firmware Distribution Tracking</title>
    <link rel="icon" href="{{frame.icon}}" type="image/svg+xml">
    <link rel="stylesheet" href="{{frame.style}}">
    <script src="{{frame.script}}" defer></script>
    </head>
    <body>
    <a class="skip" href="#main">Skip to the content</a>
    <header class="top">
    <div class="inner">
    <p class="brand"><a href="/">Firmware Distribution Tracking</a>
    <span class="place">Emulated DCC</span></p>
    <nav aria-label="Main">
    <ul>
    <li><a href="/"{{#frame.isRequests}} aria-current="page"{{/frame.isRequests}}>Requests</a></li>
    <li><a href="/notices"{{#frame.isNotices}} aria-current="page"{{/frame.isNotices}}>Notices</a></li>
    <li><a href="/homes"{{#frame.isHomes}} aria-current="page"{{/frame.isHomes}}>Homes</a></li>
    <li><a href="/api"{{#frame.isInterface}} aria-current="page"{{/frame.isInterface}}>API</a></li>
    {{#frame.isSignedIn}}
    <li><form method="post" action="/logout"><input type="hidden" name="form"
     value="{{frame.formToken}}"><button class="link" type="submit">Log out</button></form></li>
    {{/frame.isSignedIn}}
    </ul>
    </nav>
    {{#frame.clock}}
    <dl class="clock" id="clock">
    <div><dt>Service time</dt><dd><time id="now" datetime="{{now.stamp}}" data-seconds="{{seconds}}"
     data-rate="{{rate}}">{{now.text}}</time> UTC</dd></div>
    <div><dt>Pace</dt><dd>{{pace}}</dd></div>
    <div><dt>Release</dt><dd>{{release}}</dd></div>
    </dl>
    {{/frame.clock}}
    </div>
    </header>
    <div id="trouble" role="alert">
    {{#frame.trouble}}
    <div class="trouble"><div class="inner"><p><strong>⚠ Trouble</strong></p><ul>
    {{#sentences}}<li>{{.}}</li>{{/sentences}}
    </ul></div></div>
    {{/frame.trouble}}
    </div>
    <p id="said" class="unseen" role="status" aria-live="polite"></p>
    <main id="main" class="inner" tabindex="-1">

    """#

let footTemplate = #"""
    </main>
    <footer class="inner foot">
    <p>An emulator for tests: nothing here comes from, or goes to, the live service.
    <span id="link" hidden>The connection is lost; what is shown may be old.</span></p>
    </footer>
    </body>
    </html>

    """#

let problemTemplate = #"""
    {{> head}}
    <h1>{{heading}}</h1>
    <p>{{detail}}</p>
    <p><a href="/">To the requests</a></p>
    {{> foot}}
    """#

let loginTemplate = #"""
    {{> head}}
    <h1>Log in</h1>
    <p>This server can be reached from elsewhere, so it asks for its token. It printed the token
    when it made it, and keeps it in the file <code>token</code> of its state folder.</p>
    <form class="login" method="post" action="/login">
    <input type="hidden" name="form" value="{{frame.formToken}}">
    <input type="hidden" name="to" value="{{to}}">
    <p><label for="token">Token</label>
    <input id="token" name="token" type="password" autocomplete="current-password" required
    {{#problem}} aria-describedby="problem" aria-invalid="true"{{/problem}}></p>
    {{#problem}}<p id="problem" class="wrong" role="alert">✕ {{problem}}</p>{{/problem}}
    <p><button type="submit">Log in</button></p>
    </form>
    {{> foot}}
    """#

let homesTemplate = #"""
    {{> head}}
    <h1>Homes</h1>
    <p class="lead">The virtual homes behind this DCC. What a hub can deliver follows from the
    firmware that it runs.</p>
    <div id="homes" data-live>
    {{#homes}}
    <table class="rows" role="table">
    <caption>Home {{name}}</caption>
    <thead role="rowgroup"><tr role="row"><th scope="col" role="columnheader">Node</th>
    <th scope="col" role="columnheader">Device</th><th scope="col" role="columnheader">Firmware</th>
    <th scope="col" role="columnheader">GBCS</th><th scope="col" role="columnheader">Power</th>
    <th scope="col" role="columnheader">Download</th>
    <th scope="col" role="columnheader">Order</th></tr></thead>
    <tbody role="rowgroup">
    {{#nodes}}
    <tr role="row" id="node-{{eui}}"><th scope="row" role="rowheader">{{name}}
    <span class="quiet">{{role}}</span></th>
    <td role="cell" data-label="Device"><code>{{eui}}</code></td>
    <td role="cell" data-label="Firmware">{{firmware}}</td>
    <td role="cell" data-label="GBCS">{{gbcs}}</td>
    <td role="cell" data-label="Power">{{#power}}{{> badge}}{{/power}}</td>
    <td role="cell" data-label="Download">{{#.percent}}<progress max="100" value="{{percent}}"
     aria-label="Download of {{name}}"></progress> {{percent}} %{{/.percent}}{{^.percent}}–{{/.percent}}</td>
    <td role="cell" data-label="Order"><form method="post" action="{{action}}"><input type="hidden"
     name="form" value="{{form}}"><input type="hidden" name="on" value="{{next}}"><button
     type="submit" class="small">{{order}}<span class="unseen"> {{name}}</span></button></form></td>
    </tr>
    {{/nodes}}
    </tbody>
    </table>
    {{/homes}}
    </div>
    {{> foot}}
    """#

let noticesTemplate = #"""
    {{> head}}
    <h1>Notices</h1>
    <p class="lead">Responses and alerts that are POSTed to service users. Each keeps its number
    and its bytes, however often it is sent.</p>
    <table class="rows" role="table">
    <caption>Notices, newest first</caption>
    <thead role="rowgroup"><tr role="row"><th scope="col" role="columnheader">Number</th>
    <th scope="col" role="columnheader">Made</th><th scope="col" role="columnheader">What</th>
    <th scope="col" role="columnheader">User</th><th scope="col" role="columnheader">About</th>
    <th scope="col" role="columnheader">State</th></tr></thead>
    <tbody role="rowgroup" id="rows" data-live>
    {{#notices}}
    <tr role="row" id="notice-{{number}}"><th scope="row" role="rowheader">{{number}}</th>
    <td role="cell" data-label="Made">{{#made}}{{> time}}{{/made}}</td>
    <td role="cell" data-label="What">{{summary}}</td>
    <td role="cell" data-label="User"><code>{{user}}</code></td>
    <td role="cell" data-label="About">{{#.link}}<a href="{{link}}"><code>{{about}}</code></a>{{/.link}}
    {{^.link}}<code>{{about}}</code>{{/.link}}</td>
    <td role="cell" data-label="State">{{#state}}{{> badge}}{{/state}}
    <span class="quiet">{{attempts}}</span></td></tr>
    {{/notices}}
    </tbody>
    </table>
    <div id="none" data-live>
    {{#isEmpty}}<p class="empty">No notice has been made yet.</p>{{/isEmpty}}
    {{#older}}<p class="pager"><a href="{{older}}" rel="next">Older notices</a></p>{{/older}}
    </div>
    {{> foot}}
    """#
