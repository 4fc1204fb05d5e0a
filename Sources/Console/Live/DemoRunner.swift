import DCC
import Devices
import GBCS
import Glibc
import HeadEnd
import Lab
import Wire

/// The demo: a PPMID is refused an update behind an old hub, the hub is updated, and then the PPMID
/// too. It does what a service user and a hub's keeper would do, and waits for what comes of it.
actor DemoRunner {
    /// What a run is about.
    private struct Cast {
        var home: Home
        var device: HomeDevice
        var image: Manifest.Entry
        var hubImage: Manifest.Entry
    }

    private enum Stop: Error {
        case failed(String)
    }

    private static let maximumRuns = 20
    /// How long a step may take, in virtual seconds.
    private static let patience: UInt32 = 60 * 86_400
    /// And in seconds of the clock, for a world that stands still.
    private static let wallPatience = 1_800.0

    private let headEnd: HeadEnd
    private(set) var runs: [DemoRunState] = []
    private var followers: [AsyncStream<String>.Continuation] = []
    private var lastCounter: UInt64 = 0

    init(_ headEnd: HeadEnd) { self.headEnd = headEnd }

    var updates: AsyncStream<String> {
        let (stream, continuation) = AsyncStream.makeStream(
            of: String.self, bufferingPolicy: .bufferingNewest(16))
        followers.append(continuation)
        return stream
    }

    func start() async throws(ControlProblem) -> DemoRunState {
        guard runs.first?.state != .running else {
            throw .conflict("The demo is running.")
        }
        let status: HeadEndStatus
        do {
            status = try await headEnd.status()
        } catch {
            throw .unavailable("\(error)")
        }
        // Somebody else may have been quicker meanwhile.
        guard runs.first?.state != .running else { throw .conflict("The demo is running.") }
        guard let cast = cast(status) else {
            throw .conflict(
                "No home has both a hub and a PPMID for which the manifest has newer images; "
                    + "a server with another --state begins anew.")
        }
        let name = cast.device.name
        let run = DemoRunState(
            number: (runs.first?.number ?? 0) + 1, state: .running,
            steps: [
                .init(title: "11.4 for the \(name), behind the old hub"),
                .init(title: "Update the hub"),
                .init(title: "11.4 for the \(name) again"),
                .init(title: "The \(name) runs \(Words.version(cast.image.version))"),
            ], started: status.time)
        runs.insert(run, at: 0)
        if runs.count > Self.maximumRuns { runs.removeLast() }
        Task { await self.play(cast) }
        return run
    }

    /// The first home in which it can be played.
    private func cast(_ status: HeadEndStatus) -> Cast? {
        for home in headEnd.plan.homes {
            guard let now = status.homes.first(where: { $0.name == home.name }) else { continue }
            func runs(_ id: EUI64) -> UInt32? { now.members.first { $0.eui64 == id }?.firmware }
            let hub = home.hub
            guard let hubRuns = runs(hub.eui64),
                let hubImage = headEnd.plan.manifest.entries.first(where: {
                    $0.deviceType == .communicationsHub && $0.model == hub.profile.model
                        && $0.manufacturerCode == hub.profile.manufacturer
                        && $0.version > hubRuns && $0.status == .active
                })
            else { continue }
            for device in home.devices where device.profile.type == .ppmid {
                guard let deviceRuns = runs(device.eui64),
                    let image = headEnd.plan.manifest.entries.first(where: {
                        $0.deviceType == .ppmid && $0.model == device.profile.model
                            && $0.manufacturerCode == device.profile.manufacturer
                            && $0.version > deviceRuns && $0.status == .active
                            && $0.isInstallable(from: deviceRuns)
                    })
                else { continue }
                return Cast(home: home, device: device, image: image, hubImage: hubImage)
            }
        }
        return nil
    }

    private func play(_ cast: Cast) async {
        do {
            let first = try await request(cast, step: 0)
            set(0, .done, Self.words(first))
            set(1, .running, nil)
            let words = try await headEnd.perform(
                .updateHub(home: cast.home.name, image: cast.hubImage.id))
            set(1, .running, Self.sentence(words))
            let hub = cast.home.hub
            try await wait("The hub does not run its new firmware.") {
                try await self.headEnd.inventory(of: hub.chf)?.firmware == cast.hubImage.version
            }
            set(1, .done, "The hub runs \(Words.version(cast.hubImage.version)).")
            let second = try await request(cast, step: 2)
            set(2, Self.isLetIn(second) ? .done : .failed, Self.words(second))
            guard Self.isLetIn(second) else {
                throw Stop.failed("The request was not let in: \(second.code).")
            }
            set(3, .running, "The image is on its way.")
            try await wait("The device does not run its new firmware.") {
                let status = try await self.headEnd.status()
                return status.homes.first { $0.name == cast.home.name }?.members
                    .first { $0.eui64 == cast.device.eui64 }?.firmware == cast.image.version
            }
            set(3, .done, "It was downloaded, checked and activated behind the new hub.")
            end(.done)
        } catch Stop.failed(let words) {
            fail(words)
        } catch {
            fail("\(error)")
        }
    }

    /// Sends 11.4 as the device's supplier.
    private func request(_ cast: Cast, step: Int) async throws -> ServiceResponse {
        let bytes = try headEnd.plan.manifest.runImage(for: cast.image).bytes
        // Larger than any before, also of other runs of the server: milliseconds since 2000.
        lastCounter = max(lastCounter + 1, Self.milliseconds())
        let id = RequestID(
            originator: cast.device.supplierID, target: headEnd.plan.settings.id,
            counter: lastCounter)
        edit { run in
            run.steps[step].state = .running
            run.steps[step].request = id
        }
        return try await headEnd.submit(
            ServiceRequest(
                id: id, commandVariant: 8, reference: "11.4", variant: "11.4",
                body: .updatePPMIDFirmware(
                    FirmwareUpdate(
                        image: bytes, version: Hex.string(UInt64(cast.image.version), digits: 8),
                        devices: [cast.device.eui64]))), over: .nonDevice)
    }

    /// Asks again and again, of a world that goes its own pace.
    private func wait(
        _ failure: String, until condition: @Sendable () async throws -> Bool
    ) async throws {
        let begin = ContinuousClock.now
        let start = try await headEnd.status().time
        while true {
            if try await condition() { return }
            try await Task.sleep(for: .milliseconds(200))
            let now = try await headEnd.status().time
            let isLate =
                now.secondsSince2000 > start.secondsSince2000 + Self.patience
                || ContinuousClock.now - begin > .seconds(Self.wallPatience)
            if isLate { throw Stop.failed(failure) }
        }
    }

    private static func milliseconds() -> UInt64 {
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        return UInt64(max(0, now.tv_sec - 946_684_800)) * 1_000 + UInt64(now.tv_nsec / 1_000_000)
    }

    // MARK: - Telling

    private func edit(_ change: (inout DemoRunState) -> Void) {
        guard !runs.isEmpty else { return }
        change(&runs[0])
    }

    private func set(_ step: Int, _ state: DemoRunState.State, _ detail: String?) {
        edit { run in
            run.steps[step].state = state
            run.steps[step].detail = detail
        }
        let title = runs[0].steps[step].title
        tell("\(title): \(detail ?? state.badge.words)")
    }

    private func end(_ state: DemoRunState.State) {
        edit { $0.state = state }
        tell("The demo is \(state == .done ? "done" : "over: it failed").")
    }

    private func fail(_ words: String) {
        if let step = runs.first?.steps.firstIndex(where: { $0.state == .running }) {
            set(step, .failed, words)
        }
        end(.failed)
    }

    private func tell(_ words: String) { for follower in followers { follower.yield(words) } }

    private static func sentence(_ words: String) -> String {
        words.prefix(1).uppercased() + words.dropFirst() + "."
    }

    private static func words(_ response: ServiceResponse) -> String {
        if case .response(_, _, .updatePPMIDFirmwareWarning(let warning)) = response.body,
            !warning.gbcsVersion.isEmpty
        {
            return "\(response.code): refused, the hub's GBCS version is too old for it."
        }
        return isLetIn(response)
            ? "\(response.code): let in." : "\(response.code): not let in."
    }

    /// Its one device is not among those that are left out.
    private static func isLetIn(_ response: ServiceResponse) -> Bool {
        guard case .response(_, _, nil) = response.body else { return false }
        return !response.code.isError
    }
}
