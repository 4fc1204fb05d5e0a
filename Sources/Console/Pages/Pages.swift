import DCC
import Mustache
import Wire

/// All pages, as templates that are compiled once. What a template shows is escaped, always.
struct Pages: Sendable {
    private let library: MustacheLibrary

    private static let templates = [
        "head": headTemplate, "foot": footTemplate, "list": listTemplate,
        "request": requestTemplate, "device": deviceTemplate, "login": loginTemplate,
        "problem": problemTemplate, "interface": interfaceTemplate, "homes": homesTemplate,
        "notices": noticesTemplate, "event": eventTemplate, "badge": badgeTemplate,
        "time": timeTemplate, "counts": countsTemplate,
    ]

    init() {
        var library = MustacheLibrary()
        for (name, text) in Self.templates {
            do {
                try library.register(text, named: name)
            } catch {
                preconditionFailure("the page '\(name)' is no template: \(error)")
            }
        }
        self.library = library
    }

    func render(_ model: some PageModel, _ name: String) -> String {
        library.render(model, withTemplate: name) ?? ""
    }

    func problem(_ problem: Problem) -> String {
        let title = problem.status.reasonPhrase
        return render(
            ProblemPage(
                frame: PageFrame(title: title), heading: title, detail: problem.detail,
                code: Int(problem.status.code)),
            "problem")
    }
}

protocol PageModel {
    var frame: PageFrame { get }
}

/// What is around every page.
struct PageFrame {
    struct Clock {
        var now: Moment
        /// For the script that lets it go on.
        var seconds: UInt32
        var rate: String
        var pace: String
        var release: String
    }

    struct Trouble {
        var sentences: [String]
    }

    var title: String
    var script = Asset.script.path
    var style = Asset.style.path
    var icon = Asset.icon.path
    var clock: Clock?
    /// nil rather than empty.
    var trouble: Trouble?
    /// What the hidden field of forms holds.
    var formToken: String?
    var isSignedIn = false
    /// `requests`, `homes`, `notices` or `interface`.
    var isRequests = false
    var isHomes = false
    var isNotices = false
    var isInterface = false

    init(title: String) { self.title = title }
}

struct ProblemPage: PageModel {
    var frame: PageFrame
    var heading: String
    var detail: String
    var code: Int
}

struct LoginPage: PageModel {
    var frame: PageFrame
    var to: String
    var problem: String?
}

/// A file that pages refer to. Its path changes with its bytes, so it may be kept for ever.
struct Asset: Sendable {
    let path: String
    let type: String
    let text: String

    static let style = Asset("style.css", "text/css; charset=utf-8", styleSheet)
    static let script = Asset("console.js", "text/javascript; charset=utf-8", scriptText)
    static let icon = Asset("icon.svg", "image/svg+xml", iconText)
    static let all = [style, script, icon]

    private init(_ name: String, _ type: String, _ text: String) {
        var hash: UInt32 = 2_166_136_261
        for byte in text.utf8 { hash = (hash ^ UInt32(byte)) &* 16_777_619 }
        path = "/assets/\(Hex.string(UInt64(hash), digits: 8))/\(name)"
        self.type = type
        self.text = text
    }
}
