import DCC
import Tracking
import Wire

/// What the control interface answers, in the shape of its JSON; rows of the tracking have their
/// own. Times are RFC 3339.
enum ControlAnswer {
    struct Status: Encodable {
        var time: String
        var pace: String
        var release: String
        var trouble: [String]
        var homes: [Home]

        init(_ status: WorldStatus) {
            time = status.time.iso8601
            pace = status.pace
            release = status.release
            trouble = status.trouble
            homes = status.homes.map(Home.init)
        }
    }

    struct Home: Encodable {
        var name: String
        var nodes: [Node]

        init(_ home: HomeStatus) {
            name = home.name
            nodes = home.nodes.map(Node.init)
        }
    }

    struct Node: Encodable {
        var name: String
        var role: String
        var device: String
        var firmware: String?
        var gbcsVersion: String?
        var isOn: Bool
        var percent: Int?

        init(_ node: NodeStatus) {
            name = node.name
            role = node.role
            device = node.eui64.text
            firmware = node.firmware.map(Words.version)
            gbcsVersion = node.gbcsVersion
            isOn = node.isOn
            percent = node.percent
        }
    }

    struct Image: Encodable {
        var id: String
        var deviceType: String
        var manufacturer: String
        var model: String
        var version: String
        var hash: String
        var status: String

        init(_ image: ImageSummary) {
            id = image.id
            deviceType = image.deviceType
            manufacturer = image.manufacturer
            model = image.model
            version = Words.version(image.version)
            hash = image.hash
            status = image.status
        }
    }

    struct Run: Encodable {
        struct Step: Encodable {
            var title: String
            var state: String
            var detail: String?
            var request: String?
        }

        var number: Int
        var state: String
        var started: String
        var steps: [Step]

        init(_ run: DemoRunState) {
            number = run.number
            state = run.state.rawValue
            started = run.started.iso8601
            steps = run.steps.map {
                Step(
                    title: $0.title, state: $0.state.rawValue, detail: $0.detail,
                    request: $0.request.map { "\($0)" })
            }
        }
    }

    struct Page<Row: Encodable & Sendable>: Encodable {
        var items: [Row]
        /// For `after`, where there are more.
        var next: String?

        init(_ page: Tracking.Page<Row>) {
            items = page.rows
            next = page.next.map { "\($0)" }
        }
    }

    struct Done: Encodable {
        /// What was done, one sentence.
        var detail: String
    }
}
