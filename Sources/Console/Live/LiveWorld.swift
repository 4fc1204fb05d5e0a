import DCC
import Devices
import GBCS
import HeadEnd
import Lab
import Synchronization
import Wire

/// The world of a head end, as the screen and the control interface know it.
public final class LiveWorld: WorldControl {
    private struct State {
        /// Of downloads under way.
        var percents: [EUI64: Int] = [:]
        var last: WorldStatus?
    }

    private let headEnd: HeadEnd
    private let demo: DemoRunner
    private let state = Mutex(State())

    public init(_ headEnd: HeadEnd) {
        self.headEnd = headEnd
        demo = DemoRunner(headEnd)
    }

    // MARK: - Status

    public func status() async -> WorldStatus {
        do {
            let status = status(of: try await headEnd.status())
            state.withLock { $0.last = status }
            return status
        } catch {
            var status =
                state.withLock { $0.last }
                ?? WorldStatus(
                    time: headEnd.plan.start, pace: "\(headEnd.plan.pace)", rate: 0, release: "",
                    homes: [])
            status.rate = 0
            status.trouble = ["The emulated world does not answer: \(error)"]
            return status
        }
    }

    private func status(of status: HeadEndStatus) -> WorldStatus {
        let percents = state.withLock { $0.percents }
        var trouble: [String] = []
        if let words = status.trouble { trouble.append("Nothing is done for now: \(words)") }
        if status.isLate {
            trouble.append("This machine does not keep up with the pace; time runs slower.")
        }
        let rate: Double =
            switch status.pace {
            case .real: 1
            case .times(let factor): factor
            case .virtual: 0
            }
        return WorldStatus(
            time: status.time, pace: "\(status.pace)", rate: status.trouble == nil ? rate : 0,
            release: Self.words(headEnd.plan.settings.releases.release(at: status.time)),
            homes: status.homes.map { home in
                HomeStatus(
                    name: home.name,
                    nodes: home.members.map { member in
                        NodeStatus(
                            name: member.name, role: member.role, eui64: member.eui64,
                            firmware: member.firmware,
                            gbcsVersion: gbcsVersion(of: member, in: home.name),
                            isOn: member.power != "off", percent: percents[member.eui64])
                    })
            }, trouble: trouble)
    }

    private func gbcsVersion(of member: HeadEndStatus.Member, in home: String) -> String? {
        guard let home = headEnd.plan.homes.first(where: { $0.name == home }) else { return nil }
        if home.hub.eui64 == member.eui64 {
            return home.hub.profile.capabilities(at: member.firmware)?.gbcsVersion
        }
        return home.devices.first { $0.eui64 == member.eui64 }?.profile
            .capabilities(at: member.firmware)?.gbcsVersion
    }

    private static func words(_ release: Release) -> String {
        switch release {
        case .beforeTracking: "Before November 2021"
        case .tracking: "November 2021"
        case .hanDevices: "June 2022"
        }
    }

    public func images() async -> [ImageSummary] {
        headEnd.plan.manifest.entries.map { entry in
            ImageSummary(
                id: entry.id, deviceType: entry.deviceType.rawValue,
                manufacturer: Hex.string(UInt64(entry.manufacturerCode), digits: 4),
                model: entry.model, version: entry.version,
                hash: "\(entry.manufacturerImageHash)", status: entry.status.rawValue)
        }
    }

    // MARK: - Orders

    public func power(
        _ node: String, of home: String, isOn: Bool
    ) async throws(ControlProblem) -> String {
        guard let known = headEnd.plan.homes.first(where: { $0.name == home }) else {
            throw .unknown("There is no home '\(home)'.")
        }
        guard known.hub.name == node || known.devices.contains(where: { $0.name == node }) else {
            throw .unknown("The home '\(home)' has no '\(node)'.")
        }
        return try await perform(.power(home: home, member: node, on: isOn))
    }

    public func updateHub(
        of home: String, to image: String
    ) async throws(ControlProblem) -> String {
        guard headEnd.plan.homes.contains(where: { $0.name == home }) else {
            throw .unknown("There is no home '\(home)'.")
        }
        return try await perform(.updateHub(home: home, image: image))
    }

    public func setPace(_ text: String) async throws(ControlProblem) -> String {
        guard let pace = Pace(text) else {
            throw .invalid("'\(text)' is no pace: real, virtual, or x and a number, as in x60.")
        }
        return try await perform(.pace(pace))
    }

    private func perform(_ order: HeadEndOrder) async throws(ControlProblem) -> String {
        do {
            return try await headEnd.perform(order)
        } catch HeadEndError.order(let words) {
            throw .conflict(words)
        } catch {
            throw .unavailable("\(error)")
        }
    }

    public func startDemo() async throws(ControlProblem) -> DemoRunState {
        try await demo.start()
    }

    public func runs() async -> [DemoRunState] { await demo.runs }

    // MARK: - Updates

    public func updates() async -> AsyncStream<WorldUpdate> {
        let (stream, continuation) = AsyncStream.makeStream(
            of: WorldUpdate.self, bufferingPolicy: .bufferingNewest(1_024))
        let source = headEnd.updates()
        let demo = await demo.updates
        let tasks = [
            Task {
                for await update in source {
                    if let update = self.take(update) { continuation.yield(update) }
                }
                continuation.finish()
            },
            Task { for await words in demo { continuation.yield(.world(words)) } },
        ]
        continuation.onTermination = { _ in for task in tasks { task.cancel() } }
        return stream
    }

    private func take(_ update: HeadEndUpdate) -> WorldUpdate? {
        switch update {
        case .tracking(let record):
            if let device = record.device {
                state.withLock {
                    $0.percents[device] = record.status == .downloading ? record.percent : nil
                }
            }
            return .tracking(
                request: record.request, device: record.device, status: record.status,
                percent: record.percent, detail: record.detail, time: record.time)
        case .notice(let notice): return .notice(number: notice.number, user: notice.user)
        case .hubUpdate(_, let words): return .world(words)
        case .lost(let count): return .dropped(count)
        case .status, .event: return nil
        }
    }
}
