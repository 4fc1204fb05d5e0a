import DCC
import Tracking
import Wire

struct ListPage: PageModel {
    var frame: PageFrame
    var periods: [Choice]
    var statuses: [Choice]
    var reported: [Choice]
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
    var item: RequestItem
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
    var item: DeviceItem
    var events: [EventItem]
    var later: String?
}

struct RunItem {
    struct Step {
        var title: String
        var badge: Badge
        var detail: String?
        var link: String?
        var isNow: Bool

        init(_ step: DemoRunState.Step) {
            title = step.title
            badge = step.state.badge
            detail = step.detail
            link = step.request.map(ScreenPath.request)
            isNow = step.state == .running
        }
    }

    var number: String
    var badge: Badge
    var steps: [Step]

    init(_ run: DemoRunState) {
        number = String(run.number)
        badge = run.state.badge
        steps = run.steps.map(Step.init)
    }
}

extension DemoRunState.State {
    var badge: Badge {
        switch self {
        case .waiting: Badge(words: "To come", mark: "○", class: rawValue)
        case .running: Badge(words: "Under way", mark: "●", class: rawValue)
        case .done: Badge(words: "Done", mark: "✓", class: rawValue)
        case .failed: Badge(words: "Failed", mark: "✕", class: rawValue)
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
        var power: Badge
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
            power =
                node.isOn
                ? Badge(words: "On", mark: "✓", class: "done")
                : Badge(words: "Off", mark: "✕", class: "failed")
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
        var made: Moment
        var summary: String
        var user: String
        var about: String
        var link: String?
        var state: Badge
        var attempts: String

        init(_ notice: StoredNotice) {
            number = String(notice.number)
            made = Moment(notice.time)
            summary = notice.summary
            user = notice.user.text
            about = notice.device?.text ?? notice.request.map { "\($0)" } ?? "–"
            link =
                switch (notice.request, notice.device) {
                case (let request?, let device?): ScreenPath.device(device, of: request)
                case (let request?, nil): ScreenPath.request(request)
                default: nil
                }
            state =
                switch notice.state {
                case .received: Badge(words: "Received", mark: "✓", class: "done")
                case .kept: Badge(words: "Kept for later", mark: "✕", class: "failed")
                case .pending: Badge(words: "To be sent", mark: "●", class: "underWay")
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
