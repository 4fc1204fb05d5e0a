let listTemplate = #"""
    {{> head}}
    <div class="title">
    <h1>Requests</h1>
    <form method="post" action="/demo" id="demo"><input type="hidden" name="form"
     value="{{frame.formToken}}"><button type="submit"{{#isDemoOn}} disabled{{/isDemoOn}}>{{demoOrder}}</button></form>
    </div>
    <div id="run" data-live>
    {{#run}}
    <section class="run" aria-labelledby="run-title">
    <h2 id="run-title">Demo {{number}} {{#badge}}{{> badge}}{{/badge}}</h2>
    <ol>
    {{#steps}}
    <li class="{{badge.class}}"{{#isNow}} aria-current="step"{{/isNow}}><span class="step"><span
     aria-hidden="true">{{badge.mark}}</span> {{title}}<span
     class="unseen">: {{badge.words}}</span></span>
    {{#.detail}}<span class="quiet">{{detail}}{{#.link}} <a href="{{link}}">Request</a>{{/.link}}</span>{{/.detail}}</li>
    {{/steps}}
    </ol>
    </section>
    {{/run}}
    </div>
    <form class="filter" method="get" action="/" role="search" aria-label="Filter requests">
    <div><label for="period">Received</label><select id="period" name="period">
    {{#periods}}<option value="{{value}}"{{#isChosen}} selected{{/isChosen}}>{{words}}</option>
    {{/periods}}</select></div>
    <div><label for="status">Status</label><select id="status" name="status">
    {{#statuses}}<option value="{{value}}"{{#isChosen}} selected{{/isChosen}}>{{words}}</option>
    {{/statuses}}</select></div>
    <div><label for="reported">Reported to its user</label><select id="reported" name="reported">
    {{#reported}}<option value="{{value}}"{{#isChosen}} selected{{/isChosen}}>{{words}}</option>
    {{/reported}}</select></div>
    <div><label for="type">Device type</label><select id="type" name="type">
    {{#types}}<option value="{{value}}"{{#isChosen}} selected{{/isChosen}}>{{words}}</option>
    {{/types}}</select></div>
    <div><label for="hub">Hub</label><input id="hub" name="hub" value="{{hub}}" list="hubs"
     maxlength="23" spellcheck="false" autocomplete="off" placeholder="Any"><datalist id="hubs">
    {{#hubs}}<option value="{{.}}"></option>{{/hubs}}</datalist></div>
    <div><label for="manufacturer">Manufacturer</label><select id="manufacturer"
     name="manufacturer">
    {{#manufacturers}}<option value="{{value}}"{{#isChosen}} selected{{/isChosen}}>{{words}}</option>
    {{/manufacturers}}</select></div>
    <div><label for="version">Firmware version</label><input id="version" name="version"
     list="versions" value="{{version}}" maxlength="10" placeholder="Any" spellcheck="false"
     autocomplete="off"><datalist id="versions">
    {{#versions}}<option value="{{.}}"></option>{{/versions}}</datalist></div>
    <div class="do"><button type="submit">Apply</button>
    {{#isFiltered}}<a href="/">Clear</a>{{/isFiltered}}</div>
    </form>
    {{> counts}}
    <table class="rows" role="table">
    <caption id="caption" data-live>{{caption}}</caption>
    <thead role="rowgroup"><tr role="row"><th scope="col" role="columnheader">Request</th>
    <th scope="col" role="columnheader">Received</th><th scope="col" role="columnheader">Firmware</th>
    <th scope="col" role="columnheader">Answer</th>
    <th scope="col" role="columnheader">Processing status</th>
    <th scope="col" role="columnheader">Devices</th>
    <th scope="col" role="columnheader">Last change</th></tr></thead>
    <tbody role="rowgroup" id="rows" data-live>
    {{#requests}}
    <tr role="row" id="request-{{row}}"><th scope="row" role="rowheader"><a href="{{link}}">{{variant}}
     {{name}}</a><span class="id">{{id}}</span></th>
    <td role="cell" data-label="Received">{{#received}}{{> time}}{{/received}}</td>
    <td role="cell" data-label="Firmware">{{version}}{{#.manufacturer}}
    <span class="quiet">{{manufacturer}}</span>{{/.manufacturer}}</td>
    <td role="cell" data-label="Answer"><span class="code {{codeClass}}">{{code}}</span></td>
    <td role="cell" data-label="Processing status">{{#badge}}{{> badge}}{{/badge}}</td>
    <td role="cell" data-label="Devices"><svg class="share" viewBox="0 0 100 6"
     preserveAspectRatio="none" role="img" aria-label="{{share}}">{{#parts}}<rect class="{{class}}"
     x="{{x}}" y="0" width="{{width}}" height="6"></rect>{{/parts}}</svg><span
     class="quiet">{{share}}{{#.reported}}; {{reported}}{{/.reported}}</span></td>
    <td role="cell" data-label="Last change">{{#changed}}{{> time}}{{/changed}}</td></tr>
    {{/requests}}
    </tbody>
    </table>
    <div id="none" data-live>
    {{#isEmpty}}
    <div class="empty">
    {{#isFiltered}}<p>No request fits this filter.</p>{{/isFiltered}}
    {{^isFiltered}}<p>No request has been received in this period. POST a signed DUIS request to
    <code>{{gateway}}</code>, or start the demo: a PPMID is refused an update behind an old hub, the
    hub is updated, and then the PPMID too.</p>{{/isFiltered}}
    </div>
    {{/isEmpty}}
    {{#older}}<p class="pager"><a href="{{older}}" rel="next">Older requests</a></p>{{/older}}
    </div>
    {{> foot}}
    """#

let requestTemplate = #"""
    {{> head}}
    <nav class="path" aria-label="Where you are"><ol><li><a href="/">Requests</a></li>
    <li aria-current="page">{{item.variant}}</li></ol></nav>
    <h1>{{item.variant}} {{item.name}}</h1>
    {{#item}}
    <dl class="facts" id="facts" data-live>
    <div class="wide"><dt>Request ID</dt><dd><code>{{id}}</code></dd></div>
    <div><dt>Processing status</dt><dd>{{#badge}}{{> badge}}{{/badge}}
    <span class="quiet">{{share}}{{#.reported}}; {{reported}}{{/.reported}}</span></dd></div>
    <div><dt>Answer</dt><dd><span class="code {{codeClass}}">{{code}}</span></dd></div>
    <div><dt>Received</dt><dd>{{#received}}{{> time}}{{/received}}
    <span class="quiet">wall {{wall}}</span></dd></div>
    <div><dt>Firmware version</dt><dd>{{version}}</dd></div>
    {{#.manufacturer}}<div><dt>Manufacturer</dt><dd>{{manufacturer}}</dd></div>{{/.manufacturer}}
    <div><dt>Service user</dt><dd><code>{{user}}</code></dd></div>
    </dl>
    {{/item}}
    {{> counts}}
    <h2>Devices</h2>
    <table class="rows" role="table">
    <caption id="caption" data-live>{{caption}}</caption>
    <thead role="rowgroup"><tr role="row"><th scope="col" role="columnheader">Device</th>
    <th scope="col" role="columnheader">Hub</th><th scope="col" role="columnheader">Make</th>
    <th scope="col" role="columnheader">Firmware</th><th scope="col" role="columnheader">Status</th>
    <th scope="col" role="columnheader">What happened last</th>
    <th scope="col" role="columnheader">When</th></tr></thead>
    <tbody role="rowgroup" id="rows" data-live>
    {{#devices}}
    <tr role="row" id="device-{{row}}"><th scope="row" role="rowheader"><a
     href="{{link}}"><code>{{device}}</code></a><span class="quiet">{{type}}</span></th>
    <td role="cell" data-label="Hub"><code>{{hub}}</code></td>
    <td role="cell" data-label="Make">{{make}}</td>
    <td role="cell" data-label="Firmware">{{firmware}}</td>
    <td role="cell" data-label="Status">{{#badge}}{{> badge}}{{/badge}}{{#.percent}}<span class="meter"><progress
     max="100" value="{{percent}}" aria-label="Download of {{device}}"></progress>
     {{percent}} %</span>{{/.percent}}{{#.reported}}
     <span class="quiet"><span aria-hidden="true">✉</span> Reported</span>{{/.reported}}</td>
    <td role="cell" data-label="What happened last">{{detail}}</td>
    <td role="cell" data-label="When">{{#changed}}{{> time}}{{/changed}}</td></tr>
    {{/devices}}
    </tbody>
    </table>
    <div id="none" data-live>
    {{#isEmpty}}<p class="empty">{{nothing}}</p>{{/isEmpty}}
    {{#more}}<p class="pager"><a href="{{more}}" rel="next">Further devices</a></p>{{/more}}
    </div>
    {{#hasEvents}}
    <h2>The request as a whole</h2>
    <ol class="line" id="line" data-live>
    {{#events}}{{> event}}{{/events}}
    </ol>
    {{/hasEvents}}
    {{> foot}}
    """#

let deviceTemplate = #"""
    {{> head}}
    <nav class="path" aria-label="Where you are"><ol><li><a href="/">Requests</a></li>
    <li><a href="{{requestLink}}">{{variant}} {{name}}</a></li>
    <li aria-current="page">{{item.device}}</li></ol></nav>
    {{#item}}
    <h1>{{type}} <code>{{device}}</code></h1>
    <dl class="facts" id="facts" data-live>
    <div><dt>Status</dt><dd>{{#badge}}{{> badge}}{{/badge}}{{#.percent}}<span
     class="meter"><progress max="100" value="{{percent}}" aria-label="Download"></progress>
     {{percent}} %</span>{{/.percent}}
    <span class="quiet">{{explanation}}</span></dd></div>
    <div><dt>What happened last</dt><dd>{{detail}}
    <span class="quiet">{{#changed}}{{> time}}{{/changed}}</span></dd></div>
    <div><dt>Reported to its user</dt><dd>{{#.reported}}{{> time}}
    <span class="quiet">Its user has acknowledged what became of it.</span>{{/.reported}}
    {{^.reported}}Not yet{{/.reported}}</dd></div>
    <div><dt>Hub</dt><dd><code>{{hub}}</code></dd></div>
    <div><dt>Make</dt><dd>{{make}}</dd></div>
    <div><dt>Firmware</dt><dd>{{firmware}}</dd></div>
    {{/item}}
    <div class="wide"><dt>Request</dt><dd><a href="{{requestLink}}"><code>{{request}}</code></a></dd>
    </div>
    </dl>
    <h2>Time line</h2>
    <ol class="line" id="line" data-live>
    {{#events}}{{> event}}{{/events}}
    </ol>
    <div id="none" data-live>
    {{#later}}<p class="pager"><a href="{{later}}" rel="next">Later entries</a></p>{{/later}}
    </div>
    {{> foot}}
    """#

let eventTemplate = #"""
    <li id="event-{{row}}" class="{{badge.class}}">
    <p>{{#time}}{{> time}}{{/time}} <span class="badge {{badge.class}}"><span
     aria-hidden="true">{{badge.mark}}</span> {{badge.words}}{{#.percent}} {{percent}} %{{/.percent}}</span></p>
    <p>{{detail}}</p>
    <p class="quiet">{{explanation}} Wall clock {{wall}}.{{#.notice}}
     Told its user by notice {{notice}}.{{/.notice}}</p>
    {{#.message}}
    <details><summary>{{title}}</summary>
    <div class="scroll" tabindex="0" role="region" aria-label="Fields of the message">
    <table class="fields"><caption>{{caption}}</caption>
    <thead><tr><th scope="col">Field</th><th scope="col">Bytes</th><th scope="col">Meaning</th></tr>
    </thead><tbody>
    {{#fields}}<tr><th scope="row" class="depth{{depth}}">{{name}}</th><td><code>{{hex}}</code></td>
    <td>{{meaning}}</td></tr>
    {{/fields}}
    </tbody></table></div>
    </details>
    {{/.message}}
    </li>

    """#

let countsTemplate = #"""
    <nav class="counts" aria-label="Devices by status" id="counts" data-live>
    <ul>
    {{#counts}}
    <li><a class="{{badge.class}}" href="{{link}}"{{#isChosen}} aria-current="true"{{/isChosen}}><span
     aria-hidden="true">{{badge.mark}}</span> {{badge.words}} <strong>{{count}}</strong></a></li>
    {{/counts}}
    </ul>
    <p class="quiet"><a href="{{csv}}">Export as CSV</a></p>
    </nav>

    """#

let badgeTemplate =
    #"<span class="badge {{class}}"><span aria-hidden="true">{{mark}}</span> {{words}}</span>"#

let timeTemplate = #"<time datetime="{{stamp}}">{{text}}</time>"#
