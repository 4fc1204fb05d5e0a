import DCC
import Tracking

extension Schema {
    /// Where a device stands; that its user knows of it is told beside that.
    static let status = choice(
        TrackingStatus.allCases.filter { $0 != .reported }.map(\.rawValue))
    /// What a time line has.
    fileprivate static let step = choice(TrackingStatus.allCases.map(\.rawValue))
    fileprivate static let kind = choice(["command", "response", "alert"])
    fileprivate static let state = choice(["waiting", "running", "done", "failed"])

    static func page(of name: String) -> Schema {
        .object([
            Field("items", .list(.named(name))),
            .maybe("next", .text, "For after, where there are more."),
        ])
    }
}

extension Operation {
    typealias Field = Schema.Field

    /// By name.
    static let schemas: [(String, Schema)] = [
        (
            "Problem",
            .object([
                Field("error", .text, "The status in words."),
                Field("detail", .text, "What is wrong, one sentence."),
            ])
        ),
        ("Done", .object([Field("detail", .text, "What was done, one sentence.")])),
        (
            "Status",
            .object([
                Field("time", .time, "Virtual."), Field("pace"), Field("release"),
                Field("trouble", .list(.text)), Field("homes", .list(.named("Home"))),
            ])
        ),
        ("Home", .object([Field("name"), Field("nodes", .list(.named("Node")))])),
        (
            "Node",
            .object([
                Field("name"), Field("role"), Field("device"), .maybe("firmware"),
                .maybe("gbcsVersion"), Field("isOn", .flag),
                .maybe("percent", .integer, "Of the download under way."),
            ])
        ),
        (
            "Image",
            .object([
                Field("id"), Field("deviceType"), Field("manufacturer"), Field("model"),
                Field("version"), Field("hash", .text, "SHA-256 of the manufacturer image, hex."),
                Field("status", .text, "Of the Central Products List."),
            ])
        ),
        (
            "Run",
            .object([
                Field("number", .integer), Field("state", .state), Field("started", .time),
                Field(
                    "steps",
                    .list(
                        .object([
                            Field("title"), Field("state", .state), .maybe("detail"),
                            .maybe("request"),
                        ]))),
            ])
        ),
        ("Request", request), ("Target", target),
        (
            "Event",
            .object([
                Field("request"), .maybe("device", .text, "Unless of the request as a whole."),
                Field("status", .step), .maybe("percent", .integer), Field("detail"),
                Field("time", .time, "Virtual."), Field("wall", .time),
                .maybe("message", .text, "A GBCS message, hex."),
                .maybe("explanation", .named("Explanation"), "What the message says."),
                .maybe("notice", .integer, "The message that tells its user."),
            ])
        ),
        (
            "Explanation",
            .object([
                Field("title"),
                Field("caption", .text, "Its size, from whom and to whom; or why it is none."),
                .maybe("useCase", .text, "Of GBCS."), .maybe("kind", .kind),
                Field(
                    "fields",
                    .list(
                        .object([
                            Field("name"), Field("hex"),
                            Field("meaning", .text, "Empty where the bytes say all."),
                        ])), "In the message's order; none where it is no GBCS message."),
            ])
        ),
        (
            "Counts",
            .object([
                Field("requests", .counts, "Requests by status."),
                Field("devices", .counts, "Devices by status."),
                Field("reported", .counts, "Those of which users have acknowledged what became."),
            ])
        ),
        (
            "Notice",
            .object([
                Field("number", .integer), Field("user"), Field("summary"), .maybe("request"),
                .maybe("device"), Field("time", .time, "Virtual."), Field("wall", .time),
                Field("state", .choice(NoticeState.allCases.map(\.rawValue))),
                Field("attempts", .integer), .maybe("tried", .time, "By the clock on the wall."),
            ])
        ),
    ]

    private static let request = Schema.object([
        Field("request", .text, "Its id."), Field("user"), Field("variant"), .maybe("version"),
        .maybe("image"), .maybe("manufacturer"), .maybe("model"), .maybe("type"),
        Field("code", .text, "What was answered at once."), Field("accepted", .integer),
        Field("refused", .integer), Field("status", .status, "Of the slowest of its devices."),
        Field(
            "processing", .choice(ProcessingStatus.allCases.map(\.rawValue)),
            "Of the request as a whole."),
        Field("done", .integer), Field("underWay", .integer), Field("failed", .integer),
        Field("received", .time, "Virtual."), Field("receivedWall", .time),
        Field("updated", .time, "Virtual."), Field("updatedWall", .time),
        .maybe(
            "reported", .time, "When its user had acknowledged what became of all of it; virtual."),
        .maybe("reportedWall", .time), Field("reportedDevices", .integer),
        Field("devices", .counts, "By status."),
    ])

    private static let target = Schema.object([
        Field("request"), Field("user"), Field("variant"), Field("device"), .maybe("hub"),
        .maybe("type"), .maybe("manufacturer"), .maybe("model"), .maybe("fromVersion"),
        .maybe("toVersion"), Field("status", .status),
        Field("outcome", .choice(TrackingOutcome.allCases.map(\.rawValue))),
        .maybe("percent", .integer), Field("detail"), Field("updated", .time, "Virtual."),
        Field("updatedWall", .time),
        .maybe("reported", .time, "When its user acknowledged what became of it; virtual."),
        .maybe("reportedWall", .time),
    ])
}
