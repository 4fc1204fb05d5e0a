import DCC
import Lab
import Tracking
import Wire

/// Homes that a store has memories of and a plan has not. They stand still: what the store has of
/// them stays as it is. What is under way for their devices would not: time goes on, and nobody
/// answers.
struct AbsentHomes {
    /// In order.
    let names: [String]
    /// What is under way for devices of theirs.
    let requests: Set<RequestID>

    init(_ stored: StoredWorld, _ plan: HeadEndPlan) {
        let served = Set(plan.homes.map(\.name))
        names = Set(stored.flash.map(\.home)).subtracting(served).sorted()
        guard !names.isEmpty else {
            requests = []
            return
        }
        let known = Set((plan.homes.flatMap(\.inventory) + plan.inventory).map(\.id))
        var found: [EUI64: InventoryDevice] = [:]
        for case .device(let device) in stored.records { found[device.id] = device }
        /// A device that no plan has may have been added to one of its hubs.
        func isAbsent(_ id: EUI64) -> Bool {
            guard !known.contains(id) else { return false }
            return found[id].map { $0.hub.map { !known.contains($0) } ?? false } ?? true
        }
        var requests: Set<RequestID> = []
        var dispatched: Set<RequestID> = []
        for record in stored.records {
            switch record {
            case .delivery(let delivery) where !known.contains(delivery.hub):
                requests.insert(delivery.request)
            case .target(let target) where !target.isDone && isAbsent(target.device):
                requests.insert(target.request)
            case .former(let former) where former.deadline != nil && isAbsent(former.device):
                requests.insert(former.request)
            case .command(let command) where isAbsent(command.device): requests.insert(command.id)
            case .progress(let progress) where progress.isDispatched:
                dispatched.insert(progress.id)
            default: break
            }
        }
        for case .update(let update) in stored.records
        where !dispatched.contains(update.id) && update.devices.ids.contains(where: isAbsent) {
            requests.insert(update.id)
        }
        self.requests = requests
    }
}
