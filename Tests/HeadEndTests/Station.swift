import Crypto
import DCC
import GBCS
import Glibc
import HeadEnd
import Lab
import Testing
import TestSupport
import Tracking
import Wire

/// A store that a test can hold up, have fail, or copy around commits.
final class TestStore: HeadEndStore, @unchecked Sendable {
    struct Full: Error, CustomStringConvertible {
        var description: String { "the disk is full" }
    }

    let store: TrackingStore
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private var fails = false
    private var commits = 0
    /// Around which commits the file is copied, by what they are the first to tell, and to where.
    private var moments: (@Sendable (StoreChange, Int) -> [String])?
    private var prefix = ""
    private var passed: Set<String> = []
    private var made: [Cut] = []
    private let gate = UnsafeMutablePointer<sem_t>.allocate(capacity: 1)
    private var isHeld = false

    /// A copy of the file, as a kill at that moment would leave it.
    struct Cut: Sendable, CustomStringConvertible {
        var description: String
        var path: String
    }

    init(_ store: TrackingStore) {
        self.store = store
        pthread_mutex_init(mutex, nil)
        sem_init(gate, 0, 0)
    }

    deinit {
        pthread_mutex_destroy(mutex)
        mutex.deallocate()
        sem_destroy(gate)
        gate.deallocate()
    }

    private func locked<T>(_ body: () -> T) -> T {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        return body()
    }

    func set(failing: Bool) { locked { fails = failing } }
    /// Copies the file before and after each commit that is the first to tell any of `moments`,
    /// which gets the commit's number too, from 1 on.
    func cut(
        to prefix: String, at moments: @escaping @Sendable (StoreChange, Int) -> [String]
    ) {
        locked { (self.prefix, self.moments) = (prefix, moments) }
    }
    var cuts: [Cut] { locked { made } }
    /// Holds the next commit up until `letGo`.
    func hold() { locked { isHeld = true } }
    func letGo() {
        locked { isHeld = false }
        sem_post(gate)
    }

    func load() throws -> StoredWorld { try store.load() }
    func image(_ key: ImageKey) throws -> [UInt8]? { try store.image(key) }

    func commit(_ change: StoreChange) throws {
        if locked({ isHeld }) { sem_wait(gate) }
        if locked({ fails }) { throw Full() }
        let new: [String] = locked {
            commits += 1
            return (moments?(change, commits) ?? []).filter { passed.insert($0).inserted }
        }
        let name = new.joined(separator: ", ")
        if !new.isEmpty { try copy("before \(name)") }
        try store.commit(change)
        if !new.isEmpty { try copy("after \(name)") }
    }

    private func copy(_ name: String) throws {
        let path: String = locked {
            let path = "\(prefix)\(made.count)"
            made.append(Cut(description: name, path: path))
            return path
        }
        for ending in ["", "-wal"] {
            _ = try Command.run("cp", [store.path + ending, path + ending])
        }
    }
}

/// A head end with its store, and a user's side of it.
final class Station {
    static let supplier = EUI64(0x90B3_D51F_3001_0000)
    static let broker = EUI64(0x90B3_D51F_3000_0002)
    static let seed = Seed(3)
    static let library = ProfileLibrary(
        folder: Reference.project.appending(path: "Profiles").path,
        firmware: Reference.project.appending(path: "Firmware").path)

    let store: TestStore
    let headEnd: HeadEnd
    let plan: HeadEndPlan
    private var counter: UInt64

    static func plan(
        _ homes: [String] = ["standard"], _ change: (inout HeadEndPlan) -> Void = { _ in }
    ) throws -> HeadEndPlan {
        let profile = try library.dcc("standard")
        var plan = HeadEndPlan(
            homes: try homes.map { try library.home($0) }, settings: profile.settings,
            inventory: profile.inventory,
            manifest: try Manifest.load(folder: library.firmware),
            // 2022-07-01
            start: UTCTime(secondsSince2000: 709_948_800))
        plan.pace = .virtual
        plan.seed = seed
        for name in plan.settings.regions.keys { plan.settings.regions[name]?.delay = 3_600 }
        change(&plan)
        return plan
    }

    /// `prepare` gets the store before anything happens.
    init(
        _ plan: HeadEndPlan, at path: String, counter: UInt64 = 1_000,
        prepare: (TestStore) -> Void = { _ in }
    ) throws {
        self.plan = plan
        self.counter = counter
        store = TestStore(try TrackingStore(path: path))
        prepare(store)
        headEnd = try HeadEnd(plan, store: store) { Array("\($0)".utf8) }
        headEnd.start()
    }

    func close() throws {
        headEnd.stop()
        try store.store.close()
    }

    // MARK: - Looking

    /// Waits, for a minute of the clock at most, until it is so.
    func wait(
        _ what: String, until isSo: (HeadEndStatus) throws -> Bool
    ) async throws -> HeadEndStatus {
        for _ in 0..<6_000 {
            let status = try await headEnd.status()
            if try isSo(status) { return status }
            try await Task.sleep(for: .milliseconds(10))
        }
        throw Late(what: what)
    }

    struct Late: Error { var what: String }

    /// Until nothing is under way any more, and nothing more follows.
    @discardableResult
    func rest() async throws -> HeadEndStatus {
        try await wait("time does not stand still") { $0.isResting }
    }

    func member(_ name: String) async throws -> HeadEndStatus.Member {
        try #require(try await headEnd.status().homes[0].members.first { $0.name == name })
    }

    func member(_ id: EUI64) async throws -> HeadEndStatus.Member {
        try #require(try await headEnd.status().homes[0].members.first { $0.eui64 == id })
    }

    func device(_ id: EUI64) async throws -> InventoryDevice {
        try #require(try await headEnd.inventory(of: id))
    }

    /// What users are to be told, in order.
    func notices() throws -> [StoredNotice] {
        try store.store.pendingNotices(for: nil, limit: 1_000)
    }

    func hops(of request: RequestID, _ device: EUI64) throws -> [HopRow] {
        try store.store.timeline(of: request, device: device).rows
    }

    var home: Home { plan.homes[0] }
    func id(_ name: String) -> EUI64 { home.devices.first { $0.name == name }!.eui64 }

    func target(of request: RequestID, _ device: EUI64) throws -> TargetRow? {
        var filter = TrackingFilter()
        (filter.request, filter.device) = (request, device)
        return try store.store.targets(filter, limit: 1).rows.first
    }

    // MARK: - Asking

    func acknowledge(_ notice: StoredNotice) async throws {
        try await headEnd.acknowledge(
            NoticeReceipt(
                number: notice.number, request: notice.request, device: notice.device,
                attempts: notice.attempts + 1))
    }

    func requestID(_ target: EUI64 = Station.broker) -> RequestID {
        counter += 1
        return RequestID(originator: Self.supplier, target: target, counter: counter)
    }

    func image(_ name: String) throws -> RunImage {
        try plan.manifest.runImage(for: try #require(plan.manifest.entry(name)))
    }

    /// An 11.4 for a PPMID, an 11.1 for others.
    func update(
        _ image: RunImage, _ devices: [EUI64], id: RequestID? = nil, ppmid: Bool
    ) async throws -> ServiceResponse {
        let variant = ppmid ? "11.4" : "11.1"
        let update = FirmwareUpdate(
            image: image.bytes, version: Hex.string(UInt64(image.version), digits: 8),
            devices: devices)
        return try await headEnd.submit(
            ServiceRequest(
                id: id ?? requestID(), commandVariant: 8, reference: variant, variant: variant,
                body: ppmid ? .updatePPMIDFirmware(update) : .updateFirmware(update)),
            over: .nonDevice)
    }

    /// An 11.3: transformed, signed and sent.
    @discardableResult
    func activate(
        _ device: EUI64, _ image: RunImage, at execution: ExecutionTime? = nil
    ) async throws -> RequestID {
        let id = requestID(device)
        let transformed = try await headEnd.submit(
            ServiceRequest(
                id: id, commandVariant: 4, reference: "11.3", variant: "11.3",
                body: .activateFirmware(hash: image.hash, execution: execution)),
            over: .transform)
        guard case .preCommand(_, let preCommand) = transformed.payload else {
            throw Late(what: "no pre-command: \(transformed)")
        }
        let key = MessageParties(seed: Self.seed).signingKey(of: Self.supplier)
        let signed = try GBCSMessage(parsing: preCommand).signed(by: key).encoded()
        let sent = try await headEnd.submit(
            ServiceRequest(
                id: id, commandVariant: 5, reference: "11.3", variant: "11.3",
                body: .signedPreCommand(payload: signed)), over: .sendCommand)
        guard sent.code == .acknowledged else { throw Late(what: "\(sent)") }
        return id
    }
}

extension ServiceResponse {
    var payload: ResponsePayload? {
        if case .response(_, _, let payload) = body { payload } else { nil }
    }

    var warning: FirmwareWarning? {
        switch payload {
        case .updateFirmwareWarning(let warning), .updatePPMIDFirmwareWarning(let warning): warning
        default: nil
        }
    }
}
