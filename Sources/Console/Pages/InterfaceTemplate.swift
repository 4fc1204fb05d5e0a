let interfaceTemplate = #"""
    {{> head}}
    <h1>{{title}}</h1>
    <p class="lead">{{about}} The document itself is at
    <a href="/api/openapi.json">/api/openapi.json</a> (OpenAPI {{version}}).</p>
    {{#groups}}
    <section aria-labelledby="group-{{id}}">
    <h2 id="group-{{id}}">{{name}}</h2>
    {{#operations}}
    <section class="operation" aria-labelledby="{{id}}">
    <h3 id="{{id}}"><span class="method">{{method}}</span> {{path}}</h3>
    <p>{{summary}}</p>
    {{#.note}}<p class="quiet">{{note}}</p>{{/.note}}
    {{#hasParameters}}
    <table><caption>Parameters</caption>
    <thead><tr><th scope="col">Name</th><th scope="col">Where</th><th scope="col">Type</th>
    <th scope="col">What</th></tr></thead><tbody>
    {{#parameters}}<tr><th scope="row"><code>{{name}}</code></th><td>{{place}}</td><td>{{type}}</td>
    <td>{{what}}</td></tr>
    {{/parameters}}
    </tbody></table>
    {{/hasParameters}}
    <table><caption>Answers</caption>
    <thead><tr><th scope="col">Status</th><th scope="col">What</th>
    <th scope="col">Body</th></tr></thead><tbody>
    {{#answers}}<tr><th scope="row">{{status}}</th><td>{{what}}</td><td>{{body}}</td></tr>
    {{/answers}}
    </tbody></table>
    </section>
    {{/operations}}
    </section>
    {{/groups}}
    <h2>Bodies</h2>
    {{#shapes}}
    <section class="operation" aria-labelledby="shape-{{id}}">
    <h3 id="shape-{{id}}">{{name}}</h3>
    <table><caption>Fields</caption>
    <thead><tr><th scope="col">Name</th><th scope="col">Given</th><th scope="col">Type</th>
    <th scope="col">What</th></tr></thead><tbody>
    {{#fields}}<tr><th scope="row"><code>{{name}}</code></th><td>{{place}}</td><td>{{type}}</td>
    <td>{{what}}</td></tr>
    {{/fields}}
    </tbody></table>
    </section>
    {{/shapes}}
    {{> foot}}
    """#
