export function showSteering() {}
