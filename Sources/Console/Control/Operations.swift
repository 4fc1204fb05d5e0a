import DCC

extension Operation {
    static let root = "/api/control/v1"
    static let maximumPage = 500

    static let all = control + duis

    /// Those of the control interface.
    static let control = served.map { operation in
        var operation = operation
        operation.answers += [
            .problem(401, "A token is asked for, and a right one has not been given."),
            .problem(421, "The server is not known by the name in the request's Host."),
        ]
        if operation.method != "get" {
            operation.answers.append(.problem(403, "A page of another site has sent it."))
        }
        return operation
    }

    private static let served = [
        Operation(
            method: "get", path: root + "/status", id: "status", tag: .world,
            summary: "The virtual time, its pace, the release in force, homes and troubles.",
            answers: [.ok(.named("Status"), "The status.")]),
        Operation(
            method: "put", path: root + "/pace", id: "setPace", tag: .world,
            summary: "Sets how fast virtual time runs.",
            parameters: [
                Parameter(
                    name: "pace", place: .body, schema: .text,
                    what: "real, virtual, or xN for N times real time.")
            ],
            answers: [
                .ok(.named("Done"), "It runs so now."), .problem(400, "No pace."),
                .problem(415, "No JSON."),
            ]),
        Operation(
            method: "get", path: root + "/homes", id: "homes", tag: .homes,
            summary: "All homes with their nodes.",
            answers: [.ok(.list(.named("Home")), "The homes.")]),
        Operation(
            method: "get", path: root + "/homes/{home}", id: "home", tag: .homes,
            summary: "A home with its nodes.", parameters: [home],
            answers: [.ok(.named("Home"), "The home."), .problem(404, "There is none.")]),
        Operation(
            method: "get", path: root + "/homes/{home}/nodes", id: "nodes", tag: .homes,
            summary: "The nodes of a home.", parameters: [home],
            answers: [
                .ok(.list(.named("Node")), "The nodes."), .problem(404, "There is no such home."),
            ]),
        Operation(
            method: "put", path: root + "/homes/{home}/nodes/{node}/power", id: "power",
            tag: .homes, summary: "Switches a node on or off.",
            parameters: [
                home, inPath("node", "Its name in the home."),
                Parameter(
                    name: "on", place: .body, schema: .flag, what: "Whether it is to be on."),
            ],
            answers: [
                .ok(.named("Done"), "It is so now."), .problem(400, "Not such an order."),
                .problem(404, "There is no such node."), .problem(415, "No JSON."),
            ]),
        Operation(
            method: "put", path: root + "/homes/{home}/hub/firmware", id: "updateHub",
            tag: .homes,
            summary:
                "Has the CSP send a home's hub an image of its own, to be run once it is there.",
            parameters: [
                home,
                Parameter(
                    name: "image", place: .body, schema: .text, what: "Its id in the manifest."),
            ],
            answers: [
                .ok(.named("Done"), "It has begun."), .problem(400, "Not such an order."),
                .problem(404, "There is no such home."),
                .problem(409, "There is no such image, or it is for no hub."),
                .problem(415, "No JSON."),
            ]),
        Operation(
            method: "get", path: root + "/images", id: "images", tag: .homes,
            summary: "The firmware images of the manifest.",
            answers: [.ok(.list(.named("Image")), "The images.")]),
        Operation(
            method: "get", path: root + "/runs", id: "runs", tag: .runs,
            summary: "Runs of the demo, newest first.",
            answers: [.ok(.list(.named("Run")), "The runs.")]),
        Operation(
            method: "post", path: root + "/runs", id: "startRun", tag: .runs,
            summary: "Starts the demo.",
            note: "A PPMID is refused an update, its hub is updated, then the PPMID.",
            answers: [
                .ok(.named("Run"), "It has begun.", status: 201),
                .problem(409, "One is under way, or no home fits."),
            ]),
        Operation(
            method: "get", path: root + "/runs/{number}", id: "run", tag: .runs,
            summary: "A run of the demo.", parameters: [inPath("number", "Its number.")],
            answers: [.ok(.named("Run"), "The run."), .problem(404, "There is none.")]),
        Operation(
            method: "get", path: root + "/requests", id: "requests", tag: .tracking,
            summary: "Service requests, newest first.",
            note: "Those with a device that is as the filter says; without devices, that are so "
                + "themselves. A device that is not in the inventory counts as what its request is "
                + "for.",
            parameters: filter + page,
            answers: [
                .ok(Schema.page(of: "Request"), "A page of them."),
                .problem(400, "Not such a filter."),
            ]),
        Operation(
            method: "get", path: root + "/requests/{id}", id: "request", tag: .tracking,
            summary: "A service request.", parameters: [id],
            answers: [.ok(.named("Request"), "The request."), .problem(404, "There is none.")]),
        Operation(
            method: "get", path: root + "/requests/{id}/timeline", id: "timeline", tag: .tracking,
            summary: "What happened to a request, and to one of its devices where one is named.",
            note: "Each GBCS message is explained as on the screen.",
            parameters: [id, inQuery("device", "This device.")] + page,
            answers: [
                .ok(Schema.page(of: "Event"), "What happened, a page of it, in order."),
                .problem(400, "Not such a device."),
                .problem(404, "There is no such request, or it has no such device."),
            ]),
        Operation(
            method: "get", path: root + "/targets", id: "targets", tag: .tracking,
            summary: "Devices of requests, and how far each has come.", parameters: filter + page,
            answers: [
                .ok(Schema.page(of: "Target"), "A page of them."),
                .problem(400, "Not such a filter."),
            ]),
        Operation(
            method: "get", path: root + "/counts", id: "counts", tag: .tracking,
            summary: "How many requests and devices stand at which status.", parameters: filter,
            answers: [.ok(.named("Counts"), "The counts."), .problem(400, "Not such a filter.")]),
        Operation(
            method: "get", path: root + "/notices", id: "notices", tag: .tracking,
            summary: "What service users are told, newest first.", parameters: page,
            answers: [
                .ok(Schema.page(of: "Notice"), "A page of them."),
                .problem(400, "Not such a page."),
            ]),
        Operation(
            method: "get", path: root + "/events", id: "events", tag: .tracking,
            summary: "Everything as it happens, as server-sent events.",
            note:
                "tracking has request, device, status, words, percent, detail and time (virtual); "
                + "notice has notice and user; world has detail. What is not known is left out. "
                + "Ids count: one that is missing was dropped. Last-Event-ID gets what came after "
                + "it, or dropped, with how many where that is known: then ask for the rest.",
            answers: [
                Answer(
                    status: 200,
                    what: "Events tracking, notice, world and dropped, each with JSON.",
                    type: "text/event-stream"),
                .problem(503, "As many follow already as can be served."),
            ]),
    ]

    private static let duis = [
        ("D", "Non-device requests: 11.1, 11.4, 8.2, 8.4, 12.2."),
        ("S", "Signed pre-commands and commands; results come later, to the user's URL."),
        ("T", "Critical requests, which are transformed into pre-commands."),
    ].map { service, summary in
        let xml = "application/xml"
        return Operation(
            method: "post", path: "/api/v1/service\(service)", id: "service\(service)", tag: .duis,
            summary: summary,
            note: "The body is a signed DUIS request. Its signature says who it is; no token is "
                + "asked for.", bodyType: xml,
            answers: [
                Answer(
                    status: 200, what: "A signed DUIS response, also to what is refused.",
                    type: xml),
                Answer(status: 405, what: "Not a POST."),
                Answer(status: 408, what: "It did not arrive in time."),
                Answer(
                    status: 413,
                    what: "More than a body may have: a signed DUIS response says so.", type: xml),
                Answer(status: 415, what: "No application/xml."),
                Answer(
                    status: 503, what: "Too many at a time; Retry-After says when to come again."),
            ])
    }

    // MARK: - Parameters

    private static func inPath(_ name: String, _ what: String) -> Parameter {
        Parameter(name: name, place: .path, schema: .text, what: what)
    }

    private static func inQuery(
        _ name: String, _ what: String, _ schema: Schema = .text
    ) -> Parameter {
        Parameter(name: name, place: .query, schema: schema, what: what)
    }

    private static let home = inPath("home", "Its name.")
    private static let id = inPath("id", "As DUIS writes it.")

    private static let filter = [
        inQuery(
            "period", "Received in this stretch of virtual time.",
            .choice(ScreenFilter.Period.allCases.map(\.rawValue))),
        inQuery("status", "Devices at this status.", .status),
        inQuery(
            "reported", "Devices whose user has acknowledged what became of them, or has not.",
            .choice(["yes", "no"])),
        inQuery(
            "type", "Devices of this type.", .choice(InventoryType.allCases.map(\.rawValue))),
        inQuery("hub", "Devices of this hub."),
        inQuery("manufacturer", "Devices of this manufacturer."),
        inQuery("version", "That devices are to run, up to 8 hex digits."),
        inQuery("request", "Of this request."), inQuery("device", "This device."),
    ]

    private static let page = [
        inQuery("after", "What next of the page before was."),
        inQuery("limit", "Items, 1 to \(maximumPage); 50 unless said.", .integer),
    ]
}
