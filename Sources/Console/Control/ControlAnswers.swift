import DCC
import Wire

/// What the control interface answers, in the shape of its JSON. Times are RFC 3339.
enum ControlAnswer {
    struct Status: Encodable {
        var time: String
        var pace: String
        var release: String
        var trouble: [String]
        var homes: [Home]

        init(_ status: WorldStatus) {
            time = Words.stamp(status.time)
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
            started = Words.stamp(run.started)
            steps = run.steps.map {
                Step(
                    title: $0.title, state: $0.state.rawValue, detail: $0.detail,
                    request: $0.request.map { "\($0)" })
            }
        }
    }

    struct Page<Item: Encodable>: Encodable {
        var items: [Item]
        /// For `after`, where there are more.
        var next: String?

        init<Row>(_ page: TrackedPage<Row>, _ make: (Row) -> Item) {
            items = page.rows.map(make)
            next = page.next
        }
    }

    struct Request: Encodable {
        var id: String
        var user: String
        var variant: String
        var version: String?
        var manufacturer: String?
        var code: String
        var status: String
        var received: String
        var receivedWall: String
        var changed: String
        var counts: [String: Int]

        init(_ request: TrackedRequest) {
            id = "\(request.id)"
            user = request.user.text
            variant = request.variant
            version = request.version
            manufacturer = request.manufacturer
            code = request.code.rawValue
            status = ProcessingStatus(request).words
            received = Words.stamp(request.received)
            receivedWall = Words.wallStamp(request.wall)
            changed = Words.stamp(request.changed)
            counts = Dictionary(
                uniqueKeysWithValues: request.counts.map { ($0.key.rawValue, $0.value) })
        }
    }

    struct Target: Encodable {
        var request: String
        var variant: String
        var device: String
        var hub: String?
        var type: String?
        var manufacturer: String?
        var model: String?
        var from: String?
        var to: String?
        var status: String
        var isReported: Bool
        var percent: Int?
        var detail: String
        var time: String
        var wall: String

        init(_ device: TrackedDevice) {
            request = "\(device.request)"
            variant = device.variant
            self.device = device.device.text
            hub = device.hub?.text
            type = device.type?.rawValue
            manufacturer = device.manufacturer
            model = device.model
            from = device.from.map(Words.version)
            to = device.to.map(Words.version)
            status = device.status.rawValue
            isReported = device.isReported
            percent = device.percent
            detail = device.detail
            time = Words.stamp(device.time)
            wall = Words.wallStamp(device.wall)
        }
    }

    struct Event: Encodable {
        var status: String
        var percent: Int?
        var detail: String
        var time: String
        var wall: String
        /// Hex.
        var message: String?
        var notice: UInt64?

        init(_ event: TrackedEvent) {
            status = event.status.rawValue
            percent = event.percent
            detail = event.detail
            time = Words.stamp(event.time)
            wall = Words.wallStamp(event.wall)
            message = event.message.map { Hex.string($0) }
            notice = event.notice
        }
    }

    struct Notice: Encodable {
        var number: UInt64
        var user: String
        var summary: String
        var request: String?
        var device: String?
        var time: String
        var wall: String
        var state: String
        var attempts: Int

        init(_ notice: TrackedNotice) {
            number = notice.number
            user = notice.user.text
            summary = notice.summary
            request = notice.request.map { "\($0)" }
            device = notice.device?.text
            time = Words.stamp(notice.time)
            wall = Words.wallStamp(notice.wall)
            state = notice.state
            attempts = notice.attempts
        }
    }

    struct Done: Encodable {
        /// What was done, one sentence.
        var detail: String
    }
}
