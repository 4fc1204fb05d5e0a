import DCC
import Foundation
import TestSupport
import Tracking
import Wire

let supplier = EUI64(0x90B3_D51F_3001_0000)
let otherSupplier = EUI64(0x90B3_D51F_3001_0100)
let broker = EUI64(0x90B3_D51F_3000_0002)

/// 4 March 2026, 05:06:07.
let morning = UTCTime(secondsSince2000: 825_915_967)
/// The same in seconds since 1970.
let morningWall = 1_772_600_767.0

func requestID(_ counter: UInt64, user: EUI64 = supplier) -> RequestID {
    RequestID(originator: user, target: broker, counter: counter)
}

func device(_ number: UInt64) -> EUI64 { EUI64(0x00DB_1234_5678_0000 + number) }

extension UTCTime {
    static func + (time: UTCTime, seconds: Int) -> UTCTime {
        UTCTime(secondsSince2000: UInt32(Int64(time.secondsSince2000) + Int64(seconds)))
    }
}

/// A request with devices, all of them let in but for `refused`; the inventory knows nothing of
/// `strangers`, and other types of `others`.
func submission(
    _ counter: UInt64, devices: Range<UInt64>, refused: Set<UInt64> = [],
    strangers: Set<UInt64> = [], others: [UInt64: InventoryType] = [:],
    user: EUI64 = supplier, variant: String = "11.4", type: InventoryType = .ppmid,
    manufacturer: String = "10B2", version: UInt32 = 0x0105_0200, hub: UInt64 = 900,
    at time: UTCTime = morning, wall: Double = morningWall
) -> StoreChange {
    var change = StoreChange(wall: wall)
    let id = requestID(counter, user: user)
    let left = devices.count { refused.contains($0) }
    change.submitted = [
        SubmittedRequest(
            id: id, user: user, variant: variant, version: "1050200", fileVersion: version,
            image: "aa", manufacturer: manufacturer, model: "Model", type: type,
            accepted: devices.count - left, refused: left, code: .success, received: time,
            receivedWall: wall)
    ]
    change.targets = devices.map { number in
        let isRefused = refused.contains(number)
        let isKnown = !strangers.contains(number)
        return SubmittedTarget(
            request: id, device: device(number), hub: isKnown ? device(hub) : nil,
            type: isKnown ? others[number] ?? type : nil,
            manufacturer: isKnown ? manufacturer : nil, model: isKnown ? "Model" : nil,
            fromVersion: isKnown ? 0x0105_0100 : nil, toVersion: version,
            status: isRefused ? .refused : .validated,
            reason: isRefused ? "its hub's GBCS version is 3.2" : nil, time: time)
    }
    change.clock = time
    return change
}

func track(
    _ counter: UInt64, _ number: UInt64?, _ status: TrackingStatus, percent: Int? = nil,
    detail: String = "", at time: UTCTime = morning, message: [UInt8]? = nil,
    user: EUI64 = supplier
) -> TrackingRecord {
    TrackingRecord(
        request: requestID(counter, user: user), device: number.map(device), status: status,
        percent: percent, detail: detail, time: time, message: message)
}

extension TrackingStore {
    func tell(_ tracks: TrackingRecord..., wall: Double = morningWall) throws {
        var change = StoreChange(wall: wall)
        change.tracks = tracks
        try commit(change)
    }

    func target(_ counter: UInt64, _ number: UInt64) throws -> TargetRow? {
        var filter = TrackingFilter()
        filter.request = requestID(counter)
        filter.device = device(number)
        return try targets(filter).rows.first
    }

    /// Every page put together.
    func allTargets(_ filter: TrackingFilter, pages: Int = 97) throws -> [TargetRow] {
        var rows: [TargetRow] = []
        var key: PageKey?
        repeat {
            let page = try targets(filter, after: key, limit: pages)
            rows += page.rows
            key = page.next
        } while key != nil
        return rows
    }

    func allRequests(_ filter: TrackingFilter, pages: Int = 7) throws -> [RequestRow] {
        var rows: [RequestRow] = []
        var key: PageKey?
        repeat {
            let page = try requests(filter, after: key, limit: pages)
            rows += page.rows
            key = page.next
        } while key != nil
        return rows
    }
}

/// A store in a folder of its own.
struct Shelf {
    let folder: TemporaryFolder
    var path: String { folder.path("tracking.sqlite") }

    init() throws { folder = try TemporaryFolder() }

    func open(
        readOnly: Bool = false, _ settings: StoreSettings = StoreSettings()
    ) throws -> TrackingStore {
        try TrackingStore(path: path, readOnly: readOnly, settings: settings)
    }

    /// What opening it, or `body`, fails with.
    func failure(
        readOnly: Bool = false, _ body: (TrackingStore) throws -> Void = { _ in }
    ) -> StoreError? {
        do {
            let store = try open(readOnly: readOnly)
            defer { try? store.close() }
            try body(store)
            return nil
        } catch {
            return error as? StoreError
        }
    }
}
