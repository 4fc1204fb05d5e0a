import DCC
import Wire

struct ListPage: PageModel {
    var frame: PageFrame
    var periods: [Choice]
    var statuses: [Choice]
    var types: [Choice]
    var manufacturers: [Choice]
    var hub: String
    var hubs: [String]
    var version: String
    var versions: [String]
    var isFiltered: Bool
    var counts: [StatusCount]
    var caption: String
    var requests: [RequestItem]
    var isEmpty: Bool
    var older: String?
    var csv: String
    var gateway: String
    var run: RunItem?
    var isDemoOn: Bool
    var demoOrder: String
}

struct RequestPage: PageModel {
    var frame: PageFrame
    var id: String
    var user: String
    var variant: String
    var name: String
    var status: String
    var mark: String
    var `class`: String
    var code: String
    var codeClass: String
    var stamp: String
    var received: String
    var wall: String
    var version: String?
    var manufacturer: String?
    var counts: [StatusCount]
    var caption: String
    var csv: String
    var devices: [DeviceItem]
    var isEmpty: Bool
    var nothing: String
    var more: String?
    var hasEvents: Bool
    var events: [EventItem]
}

struct DevicePage: PageModel {
    var frame: PageFrame
    var request: String
    var requestLink: String
    var variant: String
    var name: String
    var device: String
    var type: String
    var status: String
    var isReported: Bool
    var mark: String
    var `class`: String
    var percent: String?
    var explanation: String
    var hub: String
    var make: String
    var firmware: String
    var events: [EventItem]
    var isCut: Bool
    var limit: String
}

struct RunItem {
    struct Step {
        var title: String
        var state: String
        var mark: String
        var `class`: String
        var detail: String?
        var link: String?
        var isNow: Bool

        init(_ step: DemoRunState.Step) {
            title = step.title
            state = step.state.words
            mark = step.state.mark
            self.class = step.state.rawValue
            detail = step.detail
            link = step.request.map(ScreenPath.request)
            isNow = step.state == .running
        }
    }

    var number: String
    var state: String
    var mark: String
    var `class`: String
    var steps: [Step]

    init(_ run: DemoRunState) {
        number = String(run.number)
        state = run.state.words
        mark = run.state.mark
        self.class = run.state.rawValue
        steps = run.steps.map(Step.init)
    }
}

extension DemoRunState.State {
    var words: String {
        switch self {
        case .waiting: "To come"
        case .running: "Under way"
        case .done: "Done"
        case .failed: "Failed"
        }
    }

    var mark: String {
        switch self {
        case .waiting: "○"
        case .running: "●"
        case .done: "✓"
        case .failed: "✕"
        }
    }
}

struct HomesPage: PageModel {
    struct Home {
        var name: String
        var nodes: [Node]
    }

    struct Node {
        var name: String
        var role: String
        var eui: String
        var firmware: String
        var gbcs: String
        var power: String
        var powerMark: String
        var powerClass: String
        var percent: String?
        var action: String
        var form: String
        var next: String
        var order: String

        init(_ node: NodeStatus, home: String, form: String) {
            name = node.name
            role = node.name.hasPrefix(node.role) ? "" : node.role
            eui = node.eui64.text
            firmware = node.firmware.map(Words.version) ?? "–"
            gbcs = node.gbcsVersion ?? "–"
            power = node.isOn ? "On" : "Off"
            powerMark = node.isOn ? "✓" : "✕"
            powerClass = node.isOn ? "done" : "failed"
            percent = node.percent.map(String.init)
            let place = "/homes/\(Words.percentEncoded(home))"
            action = place + "/nodes/\(Words.percentEncoded(node.name))/power"
            self.form = form
            next = node.isOn ? "off" : "on"
            order = node.isOn ? "Switch off" : "Switch on"
        }
    }

    var frame: PageFrame
    var homes: [Home]
}

struct NoticesPage: PageModel {
    struct Item {
        var number: String
        var stamp: String
        var time: String
        var summary: String
        var user: String
        var about: String
        var link: String?
        var state: String
        var stateMark: String
        var stateClass: String
        var attempts: String

        init(_ notice: TrackedNotice) {
            number = String(notice.number)
            stamp = Words.stamp(notice.time)
            time = Words.time(notice.time)
            summary = notice.summary
            user = notice.user.text
            about = notice.device?.text ?? notice.request.map { "\($0)" } ?? "–"
            link =
                switch (notice.request, notice.device) {
                case (let request?, let device?): ScreenPath.device(device, of: request)
                case (let request?, nil): ScreenPath.request(request)
                default: nil
                }
            switch notice.state {
            case "received": (state, stateMark, stateClass) = ("Received", "✓", "done")
            case "kept": (state, stateMark, stateClass) = ("Kept for later", "✕", "failed")
            default: (state, stateMark, stateClass) = ("To be sent", "●", "underWay")
            }
            attempts =
                notice.attempts == 0 ? "" : "after \(Words.plural(notice.attempts, "attempt"))"
        }
    }

    var frame: PageFrame
    var notices: [Item]
    var isEmpty: Bool
    var older: String?
}
